"""What must outlive the process: what was asked and when, which days are still owed, and when the line was down. Pure.

An outage makes every day it touches owed for every symbol; a day that failed is owed with its reason. A run that pays
them is the backfill: `Ledger.owed` is its plan.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from producers.tws import plan
from producers.tws.pacing import Memory
from producers.tws.plan import Unit
from topics.errors import Refused
from topics.tws import TwsOutageNotice, TwsReason

OUTAGES_KEPT = 1_000


class Owed(Struct, frozen=True):
    """A unit that is to be fetched, and why."""

    unit: Unit
    reason: TwsReason
    since_ns: int


class State(Struct):
    """The file. alive_ns: the last sign of a recorder that was to record live bars; None: there was none."""

    pacing: Memory = msgspec.field(default_factory=Memory)
    owed: dict[str, Owed] = {}
    open: TwsOutageNotice | None = None
    outages: list[TwsOutageNotice] = []
    alive_ns: int | None = None


class Ledger:
    """One verb per thing that happens. zone: the IANA name of the zone whose days an outage makes owed."""

    def __init__(self, state: State, zone: str) -> None:
        self.state = state
        self._zone = zone

    def failed(self, unit: Unit, reason: TwsReason, now_ns: int) -> None:
        """The unit is still owed; since when, the first failure says."""
        before = self.state.owed.get(unit.key)
        self.state.owed[unit.key] = Owed(unit, reason, now_ns if before is None else before.since_ns)

    def paid(self, unit: Unit) -> None:
        """The unit is complete."""
        self.state.owed.pop(unit.key, None)

    def owed(self) -> list[Owed]:
        """The plan of a backfill, oldest day first."""
        return sorted(self.state.owed.values(), key=lambda one: one.unit)

    def line_lost(
        self, reason: TwsReason, *, now_ns: int, conn: str, code: int | None, text: str | None, symbols: Iterable[str]
    ) -> TwsOutageNotice | None:
        """The line is gone; None if it was already."""
        if self.state.open is not None:
            return None
        notice = TwsOutageNotice(
            outage_id=f"{conn}/{now_ns}",
            reason=reason,
            started_ns=now_ns,
            ended_ns=None,
            code=code,
            text=text,
            data_lost=None,
            symbols=tuple(symbols),
            clock_ns=now_ns,
        )
        self.state.open = notice
        return notice

    def line_back(self, *, now_ns: int, data_lost: bool | None, days_of: Iterable[Unit] = ()) -> TwsOutageNotice | None:
        """The line is back; None if it was not gone. days_of: the units of any one day, which all its days now owe."""
        started = self.state.open
        if started is None:
            return None
        ended = msgspec.structs.replace(started, ended_ns=now_ns, data_lost=data_lost, clock_ns=now_ns)
        self.state.open = None
        self.state.outages = [*self.state.outages, ended][-OUTAGES_KEPT:]
        units = list(days_of)
        for day in plan.dates_between(started.started_ns, now_ns, self._zone):
            for unit in units:
                self.failed(msgspec.structs.replace(unit, date=day.isoformat()), started.reason, now_ns)
        return ended


def encode(state: State) -> bytes:
    """The file's bytes."""
    return msgspec.json.format(msgspec.json.encode(state), indent=1)


def decode(data: bytes) -> State:
    """The file as it was written. Raises Refused: to go on without it would be to forget what was asked and what is owed."""
    try:
        return msgspec.json.decode(data, type=State)
    except msgspec.DecodeError as error:
        raise Refused(f"the ledger of `run tws` cannot be read ({error}); move it away and start again") from error
