"""Which climate days of a station have rows, and how far its tape has come. Both only grow, whatever the order of facts.

Days have rows from the first to the last that a forecast spoke of; between two of them all days have, so that a day of
which no run speaks is seen as missing, unless they are so far apart that the days between were never asked for.
"""

from collections.abc import Iterable

from msgspec import Struct, field

from topics.policies import Policy
from topics.units import NS_PER_DAY

GAP_DAYS_MAX = 31  # a longer silence is a part of the archive that nobody loaded, or a wrong time stamp


class Station(Struct, array_like=True):
    """spans: (first day, last day), both included, sorted and apart. reached_ns: how far the tape has come, None: nowhere."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    reached_ns: int | None = None


class State(Struct, array_like=True):
    """The stations of one partition, and the policies that it was told, by `id@version`."""

    stations: dict[str, Station] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)


def cover(station: Station, day: int) -> list[int]:
    """Let the station's rows reach `day`; returns the days that have rows from now on."""
    first = last = day
    apart: list[tuple[int, int]] = []
    had: set[int] = set()
    for start, end in station.spans:
        if start <= day <= end:
            return []
        if day - end > GAP_DAYS_MAX or start - day > GAP_DAYS_MAX:
            apart.append((start, end))
        else:
            first, last = min(first, start), max(last, end)
            had.update(range(start, end + 1))
    station.spans = sorted([*apart, (first, last)])
    return [each for each in range(first, last + 1) if each not in had]


def days(station: Station) -> Iterable[int]:
    """All days that have rows."""
    return (day for first, last in station.spans for day in range(first, last + 1))


def reach(station: Station, reached_ns: int, policies: Iterable[Policy], offset_s: int) -> list[tuple[Policy, int]]:
    """Let the tape come to `reached_ns`; returns the (policy, day) whose as-of times it has passed by that.

    offset_s: what the station's standard time is ahead of UTC.
    """
    was_ns = station.reached_ns
    if was_ns is not None and reached_ns <= was_ns:
        return []
    station.reached_ns = reached_ns
    passed: list[tuple[Policy, int]] = []
    for policy in policies:
        base_ns = policy.asof_ns(0, offset_s)
        to_day = (reached_ns - base_ns) // NS_PER_DAY
        for first, last in station.spans:
            start = first if was_ns is None else max(first, (was_ns - base_ns) // NS_PER_DAY + 1)
            passed += [(policy, day) for day in range(start, min(last, to_day) + 1)]
    return passed
