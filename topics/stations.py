"""The registry of Kalshi's weather series: which station settles them, in which zone, from which climate report.

Sources: `issuedby` of each series' settlement source and the texts of `rules_primary`, as recorded 2026-07-16 to 07-24
and read 2026-09-24; PyPI packages that say Houston is KIAH are wrong, its rules name CLIHOU, which is Hobby (KHOU).
A CLI code is a station's id without its first letter; `issuedby=MDW` is product CLIMDW, station KMDW.
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from topics.errors import Refused, SettingsError

REGISTRY_VERSION = 2

Measure = Literal["high", "low"]
SettlementSource = Literal["nws", "twc"]  # the National Weather Service's climate report; The Weather Company


class Station(Struct, frozen=True):
    """icao: as IEM knows it. cli: its code in climate reports. zone: IANA; climate days are its standard time."""

    icao: str
    zone: str

    @property
    def cli(self) -> str:
        """The climate report's code: `KNYC` -> `NYC`."""
        return self.icao[1:]


class WeatherSeries(Struct, frozen=True):
    """One series. canonical: the series that trades today, where this one is an older name or an idle duplicate."""

    series_ticker: str
    station: Station
    measure: Measure
    canonical: str


class SymbolStation(Struct, frozen=True):
    """A traded symbol that is about the weather of a station.

    days_ahead: from the climate day in which a minute ends to the day that the symbol is about then.
    """

    symbol: str
    station: str
    measure: Measure
    days_ahead: int


class StationUnresolved(Refused):
    """A weather series that no station is known for, or whose rules name another one: nothing is backfilled for it."""


_EASTERN, _CENTRAL, _PACIFIC = "America/New_York", "America/Chicago", "America/Los_Angeles"
_ZONES = {
    _EASTERN: ("KNYC", "KMIA", "KPHL", "KATL", "KBOS", "KDCA", "KTTN", "KEWR"),
    _CENTRAL: ("KMDW", "KAUS", "KDFW", "KMSP", "KHOU", "KMSY", "KOKC", "KSAT"),
    _PACIFIC: ("KLAX", "KSFO", "KSEA", "KLAS", "KSAN"),
    "America/Denver": ("KDEN",),
    "America/Phoenix": ("KPHX",),
    "America/Kentucky/Louisville": ("KSDF",),
}
# Stations of model output and climate reports that no series settles on.
_OTHER_ZONES = {
    _EASTERN: ("KLGA", "KJFK", "KCLT"),
    _CENTRAL: ("KORD", "KIAH", "KSTL", "KBNA"),
    _PACIFIC: ("KPDX", "KSAC"),
    "America/Denver": ("KSLC", "KABQ"),
    "America/Detroit": ("KDTW",),
    "America/Boise": ("KBOI",),
}
ZONES: dict[str, str] = {
    icao: zone for zones in (_ZONES, _OTHER_ZONES) for zone, icaos in zones.items() for icao in icaos
}
STATIONS: dict[str, Station] = {icao: Station(icao, zone) for zone, icaos in _ZONES.items() for icao in icaos}

# The city in a ticker -> its station. A city has `KXHIGH<city>` or `KXHIGHT<city>`, and `KXLOWT<city>`.
_HIGH = {"NY": "KNYC", "CHI": "KMDW", "MIA": "KMIA", "AUS": "KAUS", "DEN": "KDEN", "LAX": "KLAX", "PHIL": "KPHL"}
_HIGH_T = {
    "SFO": "KSFO", "PHX": "KPHX", "SEA": "KSEA", "ATL": "KATL", "BOS": "KBOS", "DAL": "KDFW", "DC": "KDCA",
    "LV": "KLAS", "MIN": "KMSP", "HOU": "KHOU", "NOLA": "KMSY", "OKC": "KOKC", "SATX": "KSAT", "SAN": "KSAN",
    "SDF": "KSDF", "TTN": "KTTN", "EWR": "KEWR",
}  # fmt: skip
_LOW_T = _HIGH_T | {
    "NYC": "KNYC", "CHI": "KMDW", "MIA": "KMIA", "AUS": "KAUS", "DEN": "KDEN", "LAX": "KLAX", "PHIL": "KPHL",
}  # fmt: skip
# Older names, and duplicates without volume: the series that trades today.
RENAMED: dict[str, str] = {
    "HIGHNY": "KXHIGHNY",
    "HIGHCHI": "KXHIGHCHI",
    "HIGHMIA": "KXHIGHMIA",
    "HIGHAUS": "KXHIGHAUS",
    "KXDENHIGH": "KXHIGHDEN",
    "KXHIGHOU": "KXHIGHTHOU",
    "KXHOUHIGH": "KXHIGHTHOU",
    "KXLOWNYC": "KXLOWTNYC",
    "KXLOWNY": "KXLOWTNYC",
    "KXLOWAUS": "KXLOWTAUS",
    "KXLOWCHI": "KXLOWTCHI",
}
_TRADING: dict[str, tuple[str, Measure]] = {
    **{f"KXHIGH{city}": (icao, "high") for city, icao in _HIGH.items()},
    **{f"KXHIGHT{city}": (icao, "high") for city, icao in _HIGH_T.items()},
    **{f"KXLOWT{city}": (icao, "low") for city, icao in _LOW_T.items()},
}
SERIES: dict[str, WeatherSeries] = {
    name: WeatherSeries(name, STATIONS[_TRADING[canonical][0]], _TRADING[canonical][1], canonical)
    for name, canonical in [*((name, name) for name in _TRADING), *RENAMED.items()]
}

_WEATHER_NAME = re.compile(r"(?:KX)?(?:HIGH|LOW)T?[A-Z]+|KX[A-Z]+HIGH")
_CLI_IN_RULES = re.compile(r"\(CLI([A-Z]{3})\)")
_ISSUED_BY = re.compile(r"[?&]issuedby=([A-Z]{3})\b")
_EVENT_DAY = re.compile(r"-(\d\d)([A-Z]{3})(\d\d)(?:-|$)", re.ASCII)
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_SYMBOL = re.compile(r"([^=,\s]+)=([A-Z][A-Z0-9]{3})(?::(high|low))?(?:\+(\d{1,2}))?", re.ASCII)
_OVERRIDE = re.compile(r"([A-Z0-9]+)=([A-Z][A-Z0-9]{3})@([A-Za-z_+\-/0-9]+)(?::(high|low))?")


def is_weather(series_ticker: str) -> bool:
    """Whether the name is one of a daily temperature series, known to us or not."""
    return series_ticker in SERIES or _WEATHER_NAME.fullmatch(series_ticker) is not None


@lru_cache(maxsize=4_096)  # stations of a network x years
def standard_offset_s(zone: str, year: int) -> int:
    """Seconds that standard time of `zone` is ahead of UTC in `year`. Raises ZoneInfoNotFoundError."""
    winter = datetime(year, 1, 15, 12, tzinfo=ZoneInfo(zone))
    offset, summer = winter.utcoffset(), winter.dst()
    assert offset is not None and summer is not None  # noqa: PT018  # a ZoneInfo always tells both
    return int((offset - summer).total_seconds())


def resolve(
    series_ticker: str, *, rules: str = "", settlement_urls: tuple[str, ...] = (), known: Mapping[str, WeatherSeries]
) -> WeatherSeries:
    """The entry of `known`, held against what the exchange itself says. Raises StationUnresolved.

    rules: `rules_primary` of one of its markets. settlement_urls: of its settlement sources; both may be empty, and
    since August 2026 both may name no station.
    """
    entry = known.get(series_ticker)
    if entry is None:
        raise StationUnresolved(
            f"series {series_ticker}: expected an entry of the weather registry, there is none; "
            f"set STATION_OVERRIDES={series_ticker}=ICAO@ZONE, such as {series_ticker}=KNYC@America/New_York"
        )
    for code in cli_codes(rules, settlement_urls):
        if code != entry.station.cli:
            raise StationUnresolved(
                f"series {series_ticker}: the registry says {entry.station.icao} (CLI{entry.station.cli}), the exchange "
                f"says CLI{code}; if it is right set STATION_OVERRIDES={series_ticker}=K{code}@ZONE"
            )
    return entry


def cli_codes(rules: str, settlement_urls: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The climate report codes that rules and settlement sources name, without repetition, in their order."""
    named = _CLI_IN_RULES.findall(rules) + [code for url in settlement_urls for code in _ISSUED_BY.findall(url)]
    return tuple(dict.fromkeys(named))


def settlement_source(rules: str) -> SettlementSource | None:
    """Who settles by these rules. The exchange moved to The Weather Company with the events of mid August 2026."""
    if "The Weather Company" in rules:
        return "twc"
    return "nws" if "National Weather Service" in rules or "NWS" in rules else None


def climate_day(ticker: str) -> str | None:
    """The climate day that an event's or market's ticker names: `KXHIGHNY-26SEP25-T77` -> `2026-09-25`."""
    match = _EVENT_DAY.search(ticker)
    if match is None or match[2] not in _MONTHS or not 1 <= int(match[3]) <= 31:  # noqa: PLR2004  # days of a month
        return None
    return f"20{match[1]}-{_MONTHS.index(match[2]) + 1:02d}-{match[3]}"


def overrides(text: str) -> dict[str, WeatherSeries]:
    """`KXHIGHNY=KNYC@America/New_York[:low],...` -> entries. Raises SettingsError that shows the form."""
    entries: dict[str, WeatherSeries] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _OVERRIDE.fullmatch(part)
        if match is None or not _is_zone(match[3]):
            raise SettingsError(
                f"STATION_OVERRIDES: expected SERIES=ICAO@ZONE[:high|low] with an IANA zone, such as "
                f"KXHIGHNY=KNYC@America/New_York, was {part!r}"
            )
        name, icao, zone, measure = match.groups()
        known = SERIES.get(name)
        measured: Measure = "low" if measure == "low" or (measure is None and "LOW" in name) else "high"
        entries[name] = WeatherSeries(name, Station(icao, zone), measured, name if known is None else known.canonical)
    return entries


def symbol_stations(text: str, stations: Collection[str]) -> tuple[SymbolStation, ...]:
    """`SYMBOL=ICAO[:high|low][+DAYS],...` -> entries by symbol. Raises SettingsError that shows the form."""
    entries: dict[str, SymbolStation] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _SYMBOL.fullmatch(part)
        if match is None or match[2] not in stations:
            raise SettingsError(
                f"SYMBOL_STATIONS: expected SYMBOL=ICAO[:high|low][+DAYS] with a station of the registry, was {part!r}"
            )
        symbol, icao, measure, ahead = match.groups()
        entries[symbol] = SymbolStation(symbol, icao, "low" if measure == "low" else "high", int(ahead or 0))
    return tuple(entries.values())


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
