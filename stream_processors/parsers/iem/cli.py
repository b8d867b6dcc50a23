"""Climate reports: daily rows of cli.py, and the texts of products, -> climate facts and years.

Rows: IEM pylib/iemweb/json/cli.py. `M` and `T` are strings in numeric fields: missing, and a trace. One row per station
and day is kept there, overwritten by each later product; only the texts have every issuance.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta

import msgspec
from msgspec import Raw

from stream_processors.envelope import Headers
from stream_processors.parsers.iem import product, table
from stream_processors.parsers.iem.answer import Answer, Unfit, answer_of, digest, station_of, time_ns
from stream_processors.parsers.iem.table import Cell, NoTable, Row
from topics.errors import BadRecord
from topics.events import Cause
from topics.iem import day_ends_ns, day_of, known_of_report
from topics.units import NS_PER_HOUR
from topics.weather import Climate, ClimateYear, YearReason

Said = Climate | ClimateYear | Unfit

_PRODUCT = re.compile(r"(\d{8})(\d{4})-[A-Z0-9]{4}-[A-Z0-9]{4,6}-[A-Z0-9]{4,6}(?:-([A-Z0-9]{3}))?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_UNNAMED_LAG_NS = 12 * NS_PER_HOUR  # a report that names no product: issued at the latest by noon of the next day
_TRACE_MAX = 0.005  # IEM stores a trace as 0.0001 of an inch
_TIME_CHARS_MAX = 16

# Column -> (field, places after the point); other names of the same thing stand in tables that others made of it.
_FIELDS: dict[str, tuple[str, int]] = {
    "high": ("high_f", 0),
    "low": ("low_f", 0),
    "high_normal": ("high_normal_f", 0),
    "low_normal": ("low_normal_f", 0),
    "high_record": ("high_record_f", 0),
    "low_record": ("low_record_f", 0),
    "precip": ("precip_e2", 2),
    "snow": ("snow_e1", 1),
    "snowdepth": ("snow_depth_in", 0),
}
_ALIASES = {"date": "valid", "cli_high_f": "high", "cli_low_f": "low", "cli_report_type": "report"}
_NAMES = frozenset({"station", "valid", "product", "name", "report", "high_time", "low_time"})
_MATERIAL = ("high", "low")  # what every form of a report has, and what markets settle by; for the revision


def parse(value: bytes, headers: Headers, cause: Cause) -> Iterator[Said]:
    """All that an answer, or a file, says. Raises BadRecord for headers that are not ours, and too much at once."""
    answer = answer_of(headers)
    if (failed := answer.failure(value)) is not None:
        yield Unfit(0, failed[1])
        yield from _years(answer, cause, 1, {}, failed[0])
        return
    days: dict[tuple[str, int], set[str]] = {}
    found: list[tuple[int, Row]]
    reason: YearReason | None = None
    if product.is_one(value):
        found, unfit = product.read(value)
    else:
        said = table.read(value, "valid|date", "station")
        if isinstance(said, NoTable):
            yield Unfit(0, said.error)
            yield from _years(answer, cause, 1, {}, said.reason)
            return
        found, unfit = list(said.rows), list(said.unfit)
        reason = "truncated" if said.truncated else None
    last = -1
    for index, row in found:
        last = max(last, index)
        try:
            fact = _climate({_ALIASES.get(name, name): cell for name, cell in row.items()}, answer, cause, index)
        except KeyError as error:
            yield Unfit(index, BadRecord("missing_field", f"expected the column {error}"))
        except (ValueError, OverflowError) as error:
            yield Unfit(index, BadRecord("bad_value", str(error)))
        else:
            days.setdefault((fact.station, int(fact.day[:4])), set()).add(fact.day)
            yield fact
    yield from unfit
    if not product.is_one(value):
        yield from _years(answer, cause, max([last, *(one.place for one in unfit)]) + 1, days, reason)


def _climate(row: Row, answer: Answer, cause: Cause, index: int) -> Climate:
    station = station_of(row["station"])
    day = str(row["valid"]).strip()[:10]
    if not _DAY.fullmatch(day):
        raise ValueError(f"expected a day such as 2026-04-11, was {day!r}")
    earliest_ns, latest_ns = day_ends_ns(station, day)
    if earliest_ns < 0 or int(day[:4]) >= 2100:  # noqa: PLR2004  # a year
        raise ValueError(f"expected a day from 1970 to 2099, was {day!r}")
    name, issued_ns, bulletin = _issue(row.get("product"), latest_ns)
    values, missing, trace, extra = _content(row)
    known_ns, known_by = known_of_report(issued_ns, answer.received_ns, seen=answer.seen)
    told = row.get("report")
    if told not in {"preliminary", "final"}:
        told = "final" if issued_ns >= latest_ns else "preliminary" if issued_ns < earliest_ns else None
    through = row.get("through_ns")
    return Climate(
        station=station,
        event_ns=issued_ns,
        received_ns=answer.received_ns,
        known_ns=known_ns,
        known_by=known_by if answer.live else "assumed",
        cause=Cause(cause.topic, cause.partition, cause.offset, index),
        conn=answer.conn,
        day=day,
        product=name,
        issued_ns=issued_ns,
        revision=digest({name: "M" if name in missing else values.get(f"{name}_f") for name in _MATERIAL}),
        report="preliminary" if told == "preliminary" else "final" if told == "final" else None,
        correction=bool(row.get("correction")) or bulletin.startswith("CC"),
        through_ns=through if isinstance(through, int) else None,
        high_time=_text(row.get("high_time")),
        low_time=_text(row.get("low_time")),
        missing=tuple(missing),
        trace=tuple(trace),
        name=_text(row.get("name"), 128),
        extra=Raw(msgspec.json.encode(extra)),
        **values,
    )


def _issue(cell: Cell, day_over_ns: int) -> tuple[str, int, str]:
    """The product's id, when it was issued, and its BBB group (empty without)."""
    if table.is_null(cell):
        return "", day_over_ns + _UNNAMED_LAG_NS, ""
    text = str(cell).strip()
    match = _PRODUCT.fullmatch(text)
    if match is None:
        raise ValueError(f"product: expected an id such as 202604120823-KMFL-CDUS42-CLIMIA, was {text[:64]!r}")
    day, clock, group = match.groups()
    issued_ns = time_ns(f"{day[:4]}-{day[4:6]}-{day[6:]} {clock[:2]}:{clock[2:]}")
    return text, issued_ns, group or ""


def _content(row: Row) -> tuple[dict[str, int | None], list[str], list[str], dict[str, Cell]]:
    """The typed values of a row, the fields told as missing and as a trace, and all else. Raises ValueError."""
    values: dict[str, int | None] = {}
    missing: list[str] = []
    trace: list[str] = []
    extra: dict[str, Cell] = {}
    for name, cell in row.items():
        if name in _NAMES or name in {"correction", "through_ns"} or table.is_null(cell):
            continue
        said = cell.strip() if isinstance(cell, str) else cell
        if said in ("M", "MM"):
            missing.append(name)
        elif said == "T":
            trace.append(name)
        elif name in _FIELDS:
            field, places = _FIELDS[name]
            value = table.number(cell) or 0
            if 0 < value < _TRACE_MAX and places:
                trace.append(name)
                continue
            scaled = round(value * 10**places, 6)
            if scaled != int(scaled):
                raise ValueError(f"{name}: expected at most {places} places after the point, was {value!r}")
            values[field] = int(scaled)
        else:
            extra[name] = table.plain(cell)
    return values, sorted(missing), sorted(trace), extra


def _text(cell: Cell, chars_max: int = _TIME_CHARS_MAX) -> str | None:
    return None if table.is_null(cell) or str(cell).strip() in {"M", "MM"} else str(cell).strip()[:chars_max]


def _years(
    answer: Answer, cause: Cause, index: int, days: dict[tuple[str, int], set[str]], reason: YearReason | None
) -> Iterator[ClimateYear]:
    """Each year that was asked for, from its first day to the last one that must have a report; else what is there.

    A file asks for nothing: its days are expected to have no hole between the first and the last.
    """
    asked = _asked(answer)
    for number, key in enumerate(sorted({*days, *([] if asked is None else [asked])})):
        station, of_year = key
        there = sorted(days.get(key, ()))
        first, last = (
            (f"{of_year}-01-01", _last_due(station, of_year, answer.received_ns))
            if key == asked
            else (there[0], there[-1])
        )
        absent = [day for day in _between(first, last) if day not in set(there)]
        yield ClimateYear(
            station=station,
            event_ns=time_ns(f"{of_year}-01-01"),
            received_ns=answer.received_ns,
            known_ns=answer.received_ns,
            known_by="observed" if answer.live else "assumed",
            cause=Cause(cause.topic, cause.partition, cause.offset, index + number),
            conn=answer.conn,
            year=of_year,
            days=len(there),
            from_day=first,
            to_day=last,
            missing_days=tuple(absent),
            status=answer.status,
            reason=reason or (None if not absent else "partial" if there else "absent"),
        )


def _asked(answer: Answer) -> tuple[str, int] | None:
    station, year = answer.asked("station"), answer.asked("year")
    if station is None or year is None or not re.fullmatch(r"(19[7-9]|20\d)\d", year, re.ASCII):
        return None
    try:
        return station_of(station), int(year)
    except ValueError:
        return None


def _last_due(station: str, year: int, received_ns: int) -> str:
    """The last day of the year whose final report must be there; the day before the year when none must be yet."""
    _, over_ns = day_ends_ns(station, "1970-01-01")
    latest = day_of(max(0, received_ns - over_ns - _UNNAMED_LAG_NS))
    return min(f"{year}-12-31", max(latest, f"{year - 1}-12-31"))


def _between(first: str, last: str) -> Iterator[str]:
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    while day <= end:
        yield day.isoformat()
        day += timedelta(days=1)
