"""Which parts of the past stand on the log: history goes on where it stopped, and never skips. Pure.

A unit is noted when its answer is on the log, in whatever order units are over; neighbours become one span, whose end is
the cursor of the runbooks: `cursor_runtime_utc`, the end of the last completed window, and `cursor_date`, the last completed
local date. What may still come when a unit is asked for (a run that is late, a year that lasts) is not noted.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from msgspec import Struct

from producers.iem.ask import Ask
from producers.iem.live import HORIZON_NS
from topics.climate_day import from_iso, iso
from topics.iem import day_of
from topics.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S

_WEST_NS = 12 * NS_PER_HOUR  # no station's day ends later after UTC's
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Key = tuple[str, str, str]  # kind, station, model


class Window(Struct, frozen=True):
    """All windows from `from_runtime_utc` on and before `cursor_runtime_utc` are completed."""

    station: str
    model: str
    from_runtime_utc: str
    cursor_runtime_utc: str


class Year(Struct, frozen=True):
    """All local dates from `from_date` to `cursor_date`, both included, are completed. part: daily rows, or texts."""

    station: str
    part: Literal["year", "texts"]
    from_date: str
    cursor_date: str


class Checkpoint(Struct, frozen=True):
    """What survives a restart, by the names of the jobs.

    base_url: another upstream has another past. log: on another log nothing of it stands; empty in files that do not say.
    """

    base_url: str
    log: str = ""
    mos_ingest_window: list[Window] = []
    cli_ingest_year: list[Year] = []


class Of(NamedTuple):
    """What a checkpoint speaks of. base_url: of the upstream. log: its cluster's id and those of the topics."""

    base_url: str
    log: str


class Done:
    """Spans [from, to) in nanoseconds, disjoint and in order, of each kind, station and model."""

    def __init__(self, checkpoint: Checkpoint | None = None) -> None:
        self._spans: dict[Key, list[tuple[int, int]]] = {}
        if checkpoint is None:
            return
        for window in checkpoint.mos_ingest_window:
            span = (_from_utc(window.from_runtime_utc), _from_utc(window.cursor_runtime_utc))
            self._add(("window", window.station, window.model), *span)
        for year in checkpoint.cli_ingest_year:
            span = (from_iso(year.from_date) * NS_PER_DAY, (from_iso(year.cursor_date) + 1) * NS_PER_DAY)
            self._add((year.part, year.station, ""), *span)

    def covers(self, unit: Ask) -> bool:
        """Whether all of a unit is completed."""
        from_ns, to_ns = _span_of(unit)
        return any(start <= from_ns and to_ns <= end for start, end in self._spans.get(_key_of(unit), ()))

    def add(self, unit: Ask, asked_ns: int) -> None:
        """A unit is completed, as far as nothing more could come of it when it was asked for."""
        from_ns, to_ns = _span_of(unit)
        if unit.kind == "window":
            to_ns = to_ns if to_ns <= asked_ns - HORIZON_NS else from_ns
        else:
            to_ns = min(to_ns, (asked_ns - HORIZON_NS - _WEST_NS) // NS_PER_DAY * NS_PER_DAY)
        if to_ns > from_ns:
            self._add(_key_of(unit), from_ns, to_ns)

    def checkpoint(self, base_url: str, log: str) -> Checkpoint:
        """For the file."""
        told = [(key, span) for key in sorted(self._spans) for span in self._spans[key]]
        return Checkpoint(
            base_url,
            log,
            [Window(station, model, _utc(a), _utc(b)) for (kind, station, model), (a, b) in told if kind == "window"],
            [
                Year(station, "year" if kind == "year" else "texts", iso(a // NS_PER_DAY), iso(b // NS_PER_DAY - 1))
                for (kind, station, _), (a, b) in told
                if kind != "window"
            ],
        )

    def _add(self, key: Key, from_ns: int, to_ns: int) -> None:
        merged: list[tuple[int, int]] = []
        for start, end in sorted([*self._spans.get(key, ()), (from_ns, to_ns)]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        self._spans[key] = merged


def _key_of(unit: Ask) -> Key:
    return unit.kind, unit.station, unit.model


def _span_of(unit: Ask) -> tuple[int, int]:
    """The windows of IEM include both their ends; texts are asked for beyond their year."""
    if unit.kind == "window":
        return unit.from_ns, unit.to_ns + NS_PER_MINUTE
    year = int(day_of(unit.from_ns)[:4])
    return from_iso(f"{year:04}-01-01") * NS_PER_DAY, from_iso(f"{year + 1:04}-01-01") * NS_PER_DAY


def _utc(time_ns: int) -> str:
    return f"{_EPOCH + timedelta(seconds=time_ns // NS_PER_S):%Y-%m-%dT%H:%M:%SZ}"


def _from_utc(text: str) -> int:
    return int((datetime.fromisoformat(text) - _EPOCH).total_seconds()) * NS_PER_S
