"""What one connection records, and since when: the notices about it. Pure.

A subject is what is recorded as one: the markets of a series, the events of a sender. An interval that nobody ended is
proven up to the connection's last beat.
"""

from typing import Literal

from producers.publish import Outgoing
from topics.events import CoverageNotice, Recorded


class Covers:
    """The open intervals of one channel of one connection."""

    def __init__(self, source: str, conn: str, channel: Recorded) -> None:
        self._source = source
        self._conn = conn
        self._channel: Recorded = channel
        self._since: dict[str, int] = {}

    @property
    def subjects(self) -> frozenset[str]:
        """What is covered now."""
        return frozenset(self._since)

    def begin(self, subject: str, clock_ns: int) -> list[Outgoing]:
        """From now on `subject` is recorded; nothing is said of one that is already."""
        if subject in self._since:
            return []
        self._since[subject] = clock_ns
        return [self._notice(subject, clock_ns, clock_ns)]

    def end(self, subject: str, ended_ns: int, clock_ns: int, *, ended_by: Literal["stop", "gap"]) -> list[Outgoing]:
        """It was recorded until `ended_ns`, as is known at `clock_ns`; nothing is said of one that is not covered."""
        started_ns = self._since.pop(subject, None)
        if started_ns is None:
            return []
        return [self._notice(subject, started_ns, clock_ns, max(started_ns, ended_ns), ended_by)]

    def end_all(self, ended_ns: int, clock_ns: int, *, ended_by: Literal["stop", "gap"]) -> list[Outgoing]:
        """The end of all."""
        return [out for name in sorted(self._since) for out in self.end(name, ended_ns, clock_ns, ended_by=ended_by)]

    def _notice(
        self,
        subject: str,
        started_ns: int,
        clock_ns: int,
        ended_ns: int | None = None,
        ended_by: Literal["stop", "gap"] | None = None,
    ) -> Outgoing:
        notice = CoverageNotice(
            source=self._source,
            conn=self._conn,
            sid=0,
            channel=self._channel,
            market_ticker=subject,
            started_ns=started_ns,
            ended_ns=ended_ns,
            ended_by=ended_by,
        )
        return Outgoing(notice, subject.encode("ascii"), clock_ns)
