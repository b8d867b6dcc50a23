"""What to ask of the past, and in which order: windows of forecasts, years of reports. Pure.

A unit is over when its answer is data and has an end. One that lacks runs which the calendar promises is asked for again
behind the others: an empty 200 may be a mistake. What is still missing then is missing, and the parser names it. A unit
that fails is asked for again, too, and given up, by name, after `ATTEMPTS_MAX`. What an earlier run completed is not asked for.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from producers.iem import ask
from producers.iem.ask import Ask
from producers.iem.done import Done
from producers.iem.live import outgoing
from producers.iem.look import Reply, outcome, runs
from producers.publish import Outgoing
from topics.catalog import H_LAG_NS
from topics.iem import day_of, scheduled
from topics.units import NS_PER_DAY, NS_PER_HOUR

ATTEMPTS_MAX = 8
LACKING_MAX = 3
WINDOW_DAYS = 1
Lags = Mapping[tuple[str, int], int]  # (model, cycle in UTC hours) -> measured lag in nanoseconds


class Progress(NamedTuple):
    """How far history is. failed: units that were given up, named by their URL's path and parameters.

    skipped: units that an earlier run completed.
    """

    done: int
    left: int
    failed: tuple[Ask, ...]
    skipped: int


class History:
    """Units in order. lags: measured ones, stamped on the answers; a model without takes the shipped table's.

    noted: what is completed, by earlier runs and by this one.
    """

    def __init__(self, units: Iterable[Ask], *, base_url: str, lags: Lags, noted: Done | None = None) -> None:
        self.noted = Done() if noted is None else noted
        asked = list(units)
        self._waiting = deque((unit, 0) for unit in asked if not self.noted.covers(unit))
        self._skipped = len(asked) - len(self._waiting)
        self._over: Ask | None = None
        self._base_url = base_url
        self._lags = lags
        self._done = 0
        self._failed: list[Ask] = []

    def next(self) -> Ask | None:
        """The next unit; None when all are over."""
        return self._waiting[0][0] if self._waiting else None

    def answered(self, reply: Reply, now_ns: int) -> Outgoing:
        """Take the answer to `next`; every answer is appended: it says what was learnt, or why nothing was."""
        unit, attempts = self._waiting.popleft()
        self._over = None
        said = outcome(reply, unit.kind)
        again = ATTEMPTS_MAX if said in {"busy", "cut"} else LACKING_MAX if _lacks(unit, reply) else 0
        if attempts + 1 < again:
            self._waiting.append((unit, attempts + 1))
        elif said in {"busy", "cut", "refused"}:
            self._failed.append(unit)
        else:
            self._done += 1
            if said == "whole" and not _lacks(unit, reply):  # an empty answer may be a lie: the next run asks again
                self._over = unit
        lag_ns = self._lag_ns(unit)
        more = () if lag_ns is None else ((H_LAG_NS, b"%d" % lag_ns),)
        return outgoing(unit, reply, self._base_url, now_ns, seen="archive", more=more)

    def confirmed(self, asked_ns: int) -> bool:
        """The log has the latest answer, which was asked for at `asked_ns`: whether there is more to note."""
        if self._over is None:
            return False
        self.noted.add(self._over, asked_ns)
        self._over = None
        return True

    def progress(self) -> Progress:
        """How far it is."""
        return Progress(self._done, len(self._waiting), tuple(self._failed), self._skipped)

    def _lag_ns(self, unit: Ask) -> int | None:
        """The greatest measured lag of the cycles in the unit: one answer has one lag, and early is a lie."""
        if not unit.model:
            return None
        cycles = {run_ns % NS_PER_DAY // NS_PER_HOUR for run_ns in scheduled(unit.model, unit.from_ns, unit.to_ns)}
        lags = [self._lags.get((unit.model, cycle)) for cycle in cycles]
        known = [lag for lag in lags if lag is not None]
        return max(known) if known and len(known) == len(lags) else None


def _lacks(unit: Ask, reply: Reply) -> bool:
    """Whether a window's answer has fewer runs than the calendar promises."""
    if unit.kind != "window" or outcome(reply, unit.kind) != "whole":
        return False
    return len(runs(reply.body)) < sum(1 for _ in scheduled(unit.model, unit.from_ns, unit.to_ns))


def windows(
    stations: Sequence[str], models: Sequence[str], from_ns: int, to_ns: int, *, days: int = WINDOW_DAYS
) -> Iterator[Ask]:
    """The runs of a span, in windows that end at UTC midnights, oldest first; windows without a run are left out."""
    start_ns = from_ns // NS_PER_DAY * NS_PER_DAY
    while start_ns < to_ns:
        first_ns, end_ns = max(start_ns, from_ns), min(start_ns + days * NS_PER_DAY, to_ns)
        for model in models:
            if any(True for _ in scheduled(model, first_ns, end_ns - 1)):
                for station in stations:
                    yield ask.window(station, model, first_ns, end_ns)
        start_ns += days * NS_PER_DAY


def years(stations: Sequence[str], from_ns: int, to_ns: int) -> Iterator[Ask]:
    """The daily rows and the texts of all years that a span touches, oldest first."""
    for of_year in range(int(day_of(from_ns)[:4]), int(day_of(max(from_ns, to_ns - 1))[:4]) + 1):
        for station in stations:
            rows = ask.year(station, of_year)
            yield rows
            # The last day's final report is issued in the next year.
            yield ask.texts(station, rows.from_ns, rows.to_ns + 2 * NS_PER_DAY)
