"""The producer's clock, and the beats that tell it. Pure: the wall is a callable argument.

    clock = TapeClock()
    clock.stamp(exchange_ns)  # -> the receive stamp of the frame that showed this exchange time

A beat says: my clock has reached `clock_ns`, and all I received before that stands before this record. Hence no clock
here ever goes back, whatever the machine's wall does.
"""

from collections.abc import Callable
from typing import Protocol

from producers.publish import ClockName
from topics.events import BeatNotice
from topics.units import NS_PER_MINUTE, NS_PER_S, minute_of

INTERVAL_NS = NS_PER_S
LEASE_NS = 30 * NS_PER_S
TAPE_TAIL_NS = 10 * NS_PER_S  # how far past the last minute a tape's last beat stands
UNSTAMPED_NS = -1  # no time: of what is held until its tape shows one; the log is never given it, and would refuse it


class Running(Protocol):
    """A clock that has begun: the wall, or a simulator's tape. name: the `clock` header."""

    name: ClockName

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, never earlier than it was told before."""


class Clock(Protocol):
    """Where receive stamps come from.

    name: the `clock` header. data_ns: the latest exchange time seen, None before the first.
    """

    name: ClockName
    data_ns: int | None

    def stamp(self, exchange_ns: int | None) -> int | None:
        """The receive stamp of a frame that shows `exchange_ns`; None while the clock has not begun."""

    def now_ns(self) -> int | None:
        """The clock's time, None while it has not begun."""

    def begin(self) -> int:
        """Begin if it has not, and tell the time."""

    def end_ns(self) -> int:
        """The clock of a clean end's last beat."""


class WallClock:
    """The machine's clock. read_ns: the wall in nanoseconds since the epoch; a step back is ridden out."""

    def __init__(self, read_ns: Callable[[], int]) -> None:
        self.name: ClockName = "wall"
        self.data_ns: int | None = None
        self._read_ns = read_ns
        self._latest_ns = 0

    def stamp(self, exchange_ns: int | None) -> int:
        """Now; exchange times only move `data_ns`."""
        if exchange_ns is not None and (self.data_ns is None or exchange_ns > self.data_ns):
            self.data_ns = exchange_ns
        return self.now_ns()

    def now_ns(self) -> int:
        """The wall, never earlier than it was told before."""
        read_ns = self._read_ns()
        self._latest_ns = max(self._latest_ns, read_ns)
        return self._latest_ns

    def begin(self) -> int:
        """Now: the wall has always begun."""
        return self.now_ns()

    def end_ns(self) -> int:
        """Now."""
        return self.now_ns()


class TapeClock:
    """The latest exchange time that the recording itself has shown, over all connections of one run.

    The same frames in the same order give the same stamps.
    """

    def __init__(self) -> None:
        self.name: ClockName = "tape"
        self.data_ns: int | None = None
        self._begun = False

    def stamp(self, exchange_ns: int | None) -> int | None:
        """The clock after this frame is taken into account; None before any time is known."""
        if exchange_ns is not None and (self.data_ns is None or exchange_ns > self.data_ns):
            self.data_ns = exchange_ns
        return self.now_ns()

    def now_ns(self) -> int | None:
        """The latest exchange time; None before the first, or 0 once `begin` was called without any."""
        if self.data_ns is None:
            return 0 if self._begun else None
        return self.data_ns

    def begin(self) -> int:
        """Begin at 0 if no time is known: a recording without times is stamped 0, the same in every run."""
        self._begun = True
        return 0 if self.data_ns is None else self.data_ns

    def end_ns(self) -> int:
        """The end of the minute that holds the latest data, and `TAPE_TAIL_NS`, so that the last bar closes."""
        if self.data_ns is None:
            return 0
        return (minute_of(self.data_ns) + 1) * NS_PER_MINUTE + TAPE_TAIL_NS


class Beater:
    """Says when a beat of one connection is due, and what it says.

    interval_ns: how far the clock moves between beats; however far it jumps, one beat follows.
    lease_ns: after this much silence of the connection, nobody needs to wait for it.
    """

    def __init__(self, source: str, conn: str, *, interval_ns: int = INTERVAL_NS, lease_ns: int = LEASE_NS) -> None:
        self.due_ns = 1  # the clock at which the next beat is due; the first one as soon as the clock tells any time
        self._source = source
        self._conn = conn
        self._interval_ns = interval_ns
        self._lease_ns = lease_ns

    def beat(self, clock_ns: int, data_ns: int | None) -> BeatNotice:
        """A beat at this clock; the next one is due an interval later."""
        self.due_ns = clock_ns + self._interval_ns
        return self._notice(clock_ns, data_ns, bye=False)

    def bye(self, clock_ns: int, data_ns: int | None) -> BeatNotice:
        """The connection's last beat. For a connection that another process left behind `clock_ns` is 0.

        The clock of a tape that is run again may be earlier than the dead connection's own last beat: consumers take
        the maximum of a connection's clocks, so 0 takes nothing back.
        """
        return self._notice(clock_ns, data_ns, bye=True)

    def _notice(self, clock_ns: int, data_ns: int | None, *, bye: bool) -> BeatNotice:
        return BeatNotice(
            source=self._source,
            conn=self._conn,
            clock_ns=clock_ns,
            lease_ns=self._lease_ns,
            data_ns=data_ns,
            bye=bye,
        )
