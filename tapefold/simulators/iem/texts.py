"""Texts of climate reports as the weather service's offices write them, and their rows in cli.py. Pure."""

from dataclasses import dataclass
from datetime import date, datetime

OFFICES = {
    "KNYC": "KOKX",
    "KMIA": "KMFL",
    "KMDW": "KLOT",
    "KAUS": "KEWX",
    "KDEN": "KBOU",
    "KLAX": "KLOX",
    "KPHL": "KPHI",
}


@dataclass(frozen=True)
class Report:
    """One report. issued: UTC; local: the same moment on the office's civil clock. group: BBB, such as CCA."""

    station: str
    day: date
    issued: datetime
    local: datetime
    high: int
    low: int
    preliminary: bool
    group: str

    @property
    def office(self) -> str:
        """Who issued it."""
        return OFFICES.get(self.station, self.station)

    @property
    def name(self) -> str:
        """The product's id."""
        parts = [f"{self.issued:%Y%m%d%H%M}", self.office, "CDUS41", f"CLI{self.station[1:]}"]
        return "-".join([*parts, self.group] if self.group else parts)


def row_of(report: Report) -> dict[str, object]:
    """As cli.py shows it: strings stand for what is no number."""
    return {
        "station": report.station,
        "state": "XX",
        "wfo": report.office[1:],
        "link": f"/api/1/nwstext/{report.name}",
        "product": report.name,
        "name": report.station,
        "valid": report.day.isoformat(),
        "high": report.high,
        "high_normal": report.high - 1,
        "high_time": "301 PM",
        "high_record": report.high + 12,
        "high_record_years": [1976],
        "low": report.low,
        "low_normal": report.low + 1,
        "low_time": "612 AM",
        "low_record": report.low - 14,
        "low_record_years": [1917, 1967],
        "precip": "T" if report.high % 5 == 0 else 0.0,
        "precip_month": 1.25,
        "snow": "M" if report.low > 60 else 0.0,  # noqa: PLR2004  # stations without snow do not measure it
        "snowdepth": "M",
        "average_wind_speed": 5.8,
    }


def text_of(report: Report) -> str:
    """As an office writes it: fixed columns, the day in words."""
    day = f"{report.day:%B} {report.day.day} {report.day.year}".upper()
    head = "TODAY" if report.preliminary else "YESTERDAY"
    correction = " (CORRECTION)" if report.group else ""
    as_of = f"VALID TODAY AS OF {_clock(report.local)} LOCAL TIME.\n" if report.preliminary else ""
    lines = [
        "000 ",
        f"CDUS41 {report.office} {report.issued:%d%H%M}{' ' + report.group if report.group else ''}",
        f"CLI{report.station[1:]}",
        "",
        f"CLIMATE REPORT{correction}",
        f"NATIONAL WEATHER SERVICE {report.office}",
        f"{_clock(report.local).lstrip('0')} {report.local:%Z %a %b} {report.local.day} {report.local.year}".upper(),
        "",
        "...................................",
        "",
        f"...THE {report.station} CLIMATE SUMMARY FOR {day}...",
        f"{as_of}",
        "CLIMATE NORMAL PERIOD 1991 TO 2020",
        "",
        "WEATHER ITEM   OBSERVED TIME   RECORD YEAR NORMAL DEPARTURE LAST",
        "                VALUE   (LST)  VALUE       VALUE  FROM      YEAR",
        "..................................................................",
        "TEMPERATURE (F)",
        f" {head}",
        f"  MAXIMUM       {report.high:4}    301 PM {report.high + 12:4}    1976 {report.high - 1:4}      1     {report.high - 3:4}",
        f"  MINIMUM       {report.low:4}    612 AM {report.low - 14:4}    1917 {report.low + 1:4}     -1     {report.low + 2:4}",
        "",
        "PRECIPITATION (IN)",
        f"  {head:14}  {'T   ' if report.high % 5 == 0 else '0.00'}",
        "",
        "$$",
    ]
    return "\n".join(lines) + "\n"


def _clock(local: datetime) -> str:
    return f"{local:%I%M %p}"
