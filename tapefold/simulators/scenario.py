"""What goes wrong, and when: one scenario file for all simulators. Pure but for reading the file.

TOML; each fault is a table. Times are those of the simulated world; without a zone they are UTC:

    [[fault]]
    of = "iem"                     # kalshi.ws, kalshi.rest, iem, tws, webhook; each simulator takes its own
    kind = "503"                   # one of `KINDS`
    from = 2026-03-08T12:00:00Z
    to = 2026-03-08T12:30:00Z      # excluded
    share = 0.5                    # of what it can befall, by the simulator's seed; without it all
    seconds = 30.0                 # of the wall: how long a `stall`; how far a `skew`, how late a `late` answer
    count = 500                    # how many sockets are `slow`
"""

import random
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import msgspec

from topics.errors import Refused

Of = Literal["kalshi.ws", "kalshi.rest", "iem", "tws", "webhook"]

KINDS: dict[Of, dict[str, str]] = {
    "kalshi.ws": {
        "drop": "the next numbered frame of each subscription is not sent",
        "duplicate": "frames are sent twice",
        "cut": "connections are cut at `from`, and refused with 503 until `to`",
        "stall": "one connection hears nothing for `seconds`",
    },
    "kalshi.rest": {
        "429": "too many requests; no Retry-After",
        "500": "an error",
        "503": "an error",
        "empty": "200, and lists without what is there",
        "truncate": "200, and a body that breaks off",
        "duplicate": "200, and the items of a list twice",
        "conflict": "200, and the first trade of a list once more with another size",
        "skew": "the clock that signatures are held against is off by `seconds`",
    },
    "iem": {
        "429": "too many requests; no Retry-After",
        "500": "Oopsy",
        "503": "a query that took too long",
        "empty": "200, and no row of what is there",
        "error": "200, and a body that begins with `ERROR:`",
        "truncate": "200, and a body that ends in mid-row",
        "cut": "the connection is closed in mid-body",
        "late": "runs of this time come three hours late",
        "missing": "runs of this time never come",
        "duplicate": "runs of this time have each row twice",
        "conflict": "runs of this time come again with other values",
        "correction": "final reports of this time are corrected",
    },
    "tws": {
        "pacing": "162, pacing violation",
        "empty": "a list without bars",
        "silent": "no answer",
        "late": "an answer `seconds` late",
        "disconnect": "the socket closes in the middle of an answer",
        "1101": "1100 at `from`; at `to` 1101: restored, data lost",
        "1102": "1100 at `from`; at `to` 1102: restored, data maintained",
        "revise": "bars of this time are others when asked for again",
    },
    "webhook": {
        "duplicate": "deliveries that repeat an earlier one",
        "conflict": "an earlier id with other content",
        "unreadable": "rightly signed, and no JSON",
        "wrong": "a wrong signature",
        "old": "signed an hour ago",
        "future": "signed an hour ahead",
        "skew": "the sender's clock is off by `seconds`",
        "slow": "`count` sockets that drip their head a byte a second",
    },
}
_NEEDS = {
    ("kalshi.ws", "stall"): "seconds",
    ("kalshi.rest", "skew"): "seconds",
    ("tws", "late"): "seconds",
    ("webhook", "skew"): "seconds",
    ("webhook", "slow"): "count",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Fault(NamedTuple):
    """One fault of the file, its times in nanoseconds."""

    of: Of
    kind: str
    from_ns: int
    to_ns: int
    share: float
    seconds: float
    sockets: int

    def covers(self, now_ns: int) -> bool:
        """Whether it reigns at this moment."""
        return self.from_ns <= now_ns < self.to_ns


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    of: Of
    kind: str
    from_: datetime = msgspec.field(name="from")
    to: datetime
    share: float = 1.0
    seconds: float | None = None
    count: int | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    fault: list[_Table]


class Scenario:
    """The faults of one simulator, in the order of the file."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self.faults = faults

    def now(self, now_ns: int) -> Iterator[Fault]:
        """The faults that reign."""
        return (fault for fault in self.faults if fault.covers(now_ns))

    def share(self, kind: str, now_ns: int, least: float = 0.0) -> float:
        """The greatest share of a kind at this time. least: the chance at all times."""
        return max((fault.share for fault in self.now(now_ns) if fault.kind == kind), default=least)

    def struck(self, now_ns: int, rng: random.Random, kinds: frozenset[str]) -> Fault | None:
        """The first fault of these kinds that reigns and whose share is drawn."""
        for fault in self.now(now_ns):
            if fault.kind in kinds and (fault.share >= 1 or rng.uniform(0.0, 1.0) < fault.share):
                return fault
        return None

    def seconds(self, kind: str, now_ns: int) -> float:
        """The sum of the seconds of a kind at this time."""
        return sum(fault.seconds for fault in self.now(now_ns) if fault.kind == kind)


NONE = Scenario()


def read(path: Path | None, *of: Of) -> Scenario:
    """The faults of a file that concern `of`; none without a file. Raises Refused that names the fault."""
    if path is None:
        return NONE
    try:
        tables = msgspec.convert(tomllib.loads(path.read_text()), type=_File).fault
    except (OSError, ValueError, msgspec.ValidationError) as error:  # a file that is no TOML is a ValueError
        raise Refused(
            f"--scenario {path}: expected TOML tables [[fault]] with of, kind, from and to: {error}"
        ) from error
    faults = [_fault(table, f"--scenario {path}: fault {number}") for number, table in enumerate(tables, 1)]
    return Scenario(tuple(fault for fault in faults if fault.of in of))


def _fault(table: _Table, place: str) -> Fault:
    if table.kind not in KINDS[table.of]:
        raise Refused(f"{place}: kind: expected one of {', '.join(KINDS[table.of])} for {table.of}, was {table.kind!r}")
    from_ns, to_ns = _ns(table.from_), _ns(table.to)
    if to_ns <= from_ns or not 0 <= table.share <= 1:
        raise Refused(f"{place}: expected `to` after `from`, and a share from 0 to 1")
    needed = _NEEDS.get((table.of, table.kind))
    if needed is not None and getattr(table, needed) is None:
        raise Refused(f"{place}: {table.kind}: expected `{needed}`")
    return Fault(table.of, table.kind, from_ns, to_ns, table.share, table.seconds or 0.0, table.count or 0)


def _ns(moment: datetime) -> int:
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (aware - _EPOCH) // timedelta(microseconds=1) * 1_000


assert set(KINDS) == set(get_args(Of))
