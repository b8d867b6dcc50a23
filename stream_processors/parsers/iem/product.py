r"""Texts of climate reports (CLI) -> rows, as cli.py has them, one per section. Source: pyIEM nws/products/cli.py.

A product begins with its header (`CDUS41 KOKX 030616`, then `CLINYC`); several stand behind one another with \x01 between.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from stream_processors.parsers.iem.answer import Unfit, year_of
from stream_processors.parsers.iem.table import Row
from topics.errors import BadRecord
from topics.units import NS_PER_S

_WMO = re.compile(r"^([A-Z]{4}\d{1,2}) ([A-Z0-9]{4}) (\d\d)(\d\d)(\d\d)(?: ([A-Z]{3}))?\s*$", re.MULTILINE | re.ASCII)
_PIL = re.compile(r"^(CLI[A-Z0-9]{1,3})\s*$", re.MULTILINE | re.ASCII)
_LOCAL = re.compile(
    r"^(\d{1,2})(\d\d) (AM|PM) ([A-Z]{2,5}) [A-Z]{3} ([A-Z]{3})[A-Z]* +(\d{1,2}),? (\d{4})\s*$", re.MULTILINE | re.ASCII
)
_HEADLINE = re.compile(
    r"^\s*\.\.\.\s*(?:THE\s+)?(.+?)\s+CLIMATE\s+(?:SUMMARY|REPORT)\s+FOR\s+([A-Z]{3})[A-Z]*\.?\s+(\d{1,2}),?\s+(\d{4})\s*(CORRECTION)?.*$",
    re.MULTILINE | re.ASCII,
)
_AS_OF = re.compile(r"^\s*VALID (?:TODAY )?AS OF (\d{1,2})(\d\d) (AM|PM) LOCAL TIME", re.MULTILINE | re.ASCII)
# `76   6:27 PM` or `76    627 PM`, by office and year; an E behind the value says that it is estimated.
_ITEM = re.compile(
    r"^\s*(MAXIMUM|MINIMUM)\s+(-?\d{1,3}|MM?)(R?)(?: E)?(?:\s+(\d{1,2}:?\d\d (?:AM|PM)|MM))?(.*)$", re.ASCII
)
_DEPTH = re.compile(r"^\s*(TODAY|YESTERDAY)\s+(-?\d+(?:\.\d+)?|MM?|T)R?(?:\s.*)?$", re.ASCII)
_SNOW_DEPTH = re.compile(r"^\s*SNOW DEPTH\s+(\d+|MM?|T)(?:\s.*)?$", re.ASCII)
_DAY_LINE = re.compile(r"^\s*(TODAY|YESTERDAY)\b", re.ASCII)
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
# Hours behind UTC of the zones that US offices write in.
_ZONES = (
    {"AST": 4, "ADT": 3, "EST": 5, "EDT": 4, "CST": 6, "CDT": 5, "MST": 7, "MDT": 6, "PST": 8, "PDT": 7}
    | {"AKST": 9, "AKDT": 8, "HST": 10, "SST": 11, "CHST": -10, "GST": -10, "GMT": 0, "UTC": 0}
)  # fmt: skip
# Sections of products that speak of several stations: the headline's name -> the station.
_STATIONS = {
    "HOUSTON INTERCONTINENTAL": "KIAH",
    "HOUSTON HOBBY": "KHOU",
    "HOUSTON HOBBY AIRPORT": "KHOU",
    "GALVESTON SCHOLES FIELD": "KGLS",
    "BRYAN/COLLEGE STATION": "KCLL",
    "COLLEGE STATION": "KCLL",
    "HOUSTON/HOBBY AIRPORT": "KHOU",
    "ANCHORAGE AK": "PANC",
    "KING SALMON": "PAKN",
    "KODIAK": "PADQ",
    "BETHEL": "PABE",
    "SAINT PAUL ISLAND": "PASN",
    "COLD BAY": "PACD",
}
_PARTS = ("TEMPERATURE", "PRECIPITATION", "SNOWFALL", "DEGREE DAYS", "WIND", "SKY COVER")
# The columns behind the time, as the line above the values names them; each office chooses its own.
_COLUMNS = {"RECORD": "record", "YEAR": "record_years", "NORMAL": "normal", "DEPARTURE": "depart", "LAST": "last"}
_COLUMN = re.compile("|".join(_COLUMNS))
_EXTRA_CHARS_MAX = 20_000


def is_one(value: bytes) -> bool:
    """Whether a body holds texts of climate reports."""
    return bool(re.search(rb"^CLI[A-Z0-9]{1,3}\s*$", value, re.MULTILINE)) and b"CLIMATE" in value


def read(value: bytes) -> tuple[list[tuple[int, Row]], list[Unfit]]:
    """One row per section of each product, numbered through; a product that does not fit is refused as a whole."""
    rows: list[tuple[int, Row]] = []
    unfit: list[Unfit] = []
    number = 0
    for text in value.decode("utf-8", "replace").replace("\r", "").replace("\x03", "").split("\x01"):
        if not text.strip():
            continue
        try:
            sections = _product(text)
        except ValueError as error:
            sections = [error]
        for section in sections:
            if isinstance(section, ValueError):
                unfit.append(Unfit(number, BadRecord("bad_value", f"{section}, in {text.strip()[:80]!r}")))
            else:
                rows.append((number, section))
            number += 1
    return rows, unfit


def _product(text: str) -> list[Row | ValueError]:
    wmo, pil, local = _WMO.search(text), _PIL.search(text), _LOCAL.search(text)
    if wmo is None or pil is None or local is None:
        raise ValueError("expected a header such as `CDUS41 KOKX 030616`, a line `CLINYC` and the local time of issue")
    local_at, zone_h = _local_time(local)
    issued = _nearest(local_at + timedelta(hours=zone_h), int(wmo[3]), int(wmo[4]), int(wmo[5]))
    parts = [issued.strftime("%Y%m%d%H%M"), wmo[2], wmo[1], pil[1], *([wmo[6]] if wmo[6] else [])]
    corrected = "(CORRECTION)" in text[: local.start()] or (wmo[6] or "").startswith("CC")
    heads = [*_HEADLINE.finditer(text)]
    if not heads:
        raise ValueError("expected a headline such as `...THE CENTRAL PARK NY CLIMATE SUMMARY FOR JANUARY 2 2013...`")
    sections: list[Row | ValueError] = []
    for index, head in enumerate(heads):
        body = text[head.end() : heads[index + 1].start() if index + 1 < len(heads) else len(text)]
        try:
            row = _section(head, body)
            row["station"] = _station(head[1].strip(), wmo[2], pil[1], alone=len(heads) == 1)
        except ValueError as error:
            sections.append(error)
            continue
        row["product"] = "-".join(parts)
        row["correction"] = corrected or head[5] is not None
        _say_report(row, body, local_at, zone_h)
        sections.append(row)
    return sections


def _local_time(match: re.Match[str]) -> tuple[datetime, int]:
    hour, minute, half, zone, month, day, year = match.groups()
    if zone not in _ZONES or month not in _MONTHS:
        raise ValueError(f"expected a local time of issue in a zone of the US, was {match[0]!r}")
    at = datetime(year_of(int(year)), _MONTHS[month], int(day), _hour(int(hour), half), int(minute), tzinfo=UTC)
    return at, _ZONES[zone]


def _hour(hour: int, half: str) -> int:
    if hour > 12:  # noqa: PLR2004  # a clock's face
        raise ValueError(f"expected an hour of at most 12, was {hour}")
    return hour % 12 + (12 if half == "PM" else 0)


def _nearest(utc: datetime, day: int, hour: int, minute: int) -> datetime:
    """The header has a day of the month only: the moment with that day which is nearest to the local time of issue."""
    near = [utc + timedelta(days=days) for days in (-1, 0, 1)]
    for moment in near:
        if moment.day == day:
            return moment.replace(hour=hour, minute=minute)
    raise ValueError(f"expected a header within a day of {utc:%Y-%m-%d %H:%M} UTC, was day {day}")


def _station(name: str, office: str, pil: str, *, alone: bool) -> str:
    named = _STATIONS.get(name)
    if named is not None:
        return named
    if not alone:
        raise ValueError(f"a product of several stations: nothing says which one {name!r} is")
    return office[0] + pil[3:]


def _section(head: re.Match[str], body: str) -> Row:
    month = _MONTHS.get(head[2])
    if month is None:
        raise ValueError(f"expected a month, was {head[2]!r}")
    day = datetime(int(head[4]), month, int(head[3]), tzinfo=UTC)
    row: Row = {"valid": day.strftime("%Y-%m-%d"), "name": head[1].strip()}
    part = ""
    columns: list[re.Match[str]] = []
    lines = body.split("\n")
    for line in lines:
        text = line.strip()
        if text.startswith("WEATHER ITEM"):
            columns = [*_COLUMN.finditer(line)]
        part = next((name for name in _PARTS if text.startswith(name)), part)
        if part == "TEMPERATURE" and (item := _ITEM.match(line)) is not None:
            _put_item(row, "high" if item[1] == "MAXIMUM" else "low", item, columns)
        elif part in {"PRECIPITATION", "SNOWFALL"} and (depth := _DEPTH.match(line)) is not None:
            row.setdefault("precip" if part == "PRECIPITATION" else "snow", depth[2])
        elif part == "SNOWFALL" and (depth := _SNOW_DEPTH.match(line)) is not None:
            row.setdefault("snowdepth", depth[1])
    if "high" not in row and "low" not in row:
        raise ValueError(f"expected MAXIMUM or MINIMUM under TEMPERATURE for {row['name']!r}")
    row["text"] = "\n".join(line.rstrip() for line in lines).strip()[:_EXTRA_CHARS_MAX]
    return row


def _put_item(row: Row, name: str, item: re.Match[str], columns: list[re.Match[str]]) -> None:
    if name in row:
        return  # the second MAXIMUM of a section is a normal
    row[name] = item[2]
    row[f"{name}_time"] = item[4]
    cells = [*re.finditer(r"\S+", item[5])]
    for column, cell in _under(columns, cells, item.start(5)):
        row[f"{name}_{_COLUMNS[column]}"] = cell.rstrip("R")


def _under(columns: list[re.Match[str]], cells: list[re.Match[str]], at: int) -> Iterator[tuple[str, str]]:
    """Cells by the column they stand in: as many as there are columns in their order, fewer by their place in the line.

    A cell that stands under no column, or under one that has a cell, makes the whole line unsure: it stays in the text.
    at: where the part of the line begins that holds the cells.
    """
    if len(cells) == len(columns):
        yield from ((column[0], cell[0]) for column, cell in zip(columns, cells, strict=True))
        return
    above = [
        [column[0] for column in columns if at + cell.start() < column.end() and column.start() < at + cell.end()]
        for cell in cells
    ]
    names = [one[0] for one in above if len(one) == 1]
    if len(names) == len(cells) == len(set(names)):
        yield from ((name, cell[0]) for name, cell in zip(names, cells, strict=True))


def _say_report(row: Row, body: str, local_at: datetime, zone_h: int) -> None:
    """TODAY or `AS OF` speak of a day that is not over; YESTERDAY of one that is."""
    as_of = _AS_OF.search(body)
    said = next((line[1] for line in map(_DAY_LINE.match, body.split("\n")) if line is not None), None)
    day = str(row["valid"])
    if as_of is not None and local_at.strftime("%Y-%m-%d") == day:
        through = local_at.replace(hour=_hour(int(as_of[1]), as_of[3]), minute=int(as_of[2]))
        row["through_ns"] = int((through + timedelta(hours=zone_h)).timestamp()) * NS_PER_S
        row["report"] = "preliminary"
    elif said is not None:
        today = said == "TODAY" and local_at.strftime("%Y-%m-%d") == day
        row["report"] = "preliminary" if today else "final"
