"""What can be made to go wrong with an answer, by chance or by a script, and what was counted. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import msgspec

from stream_processors.parsers.iem.answer import time_ns
from topics.errors import Refused
from topics.units import NS_PER_S

Kind = Literal[
    "429",  # too many requests; no Retry-After comes with it
    "503",  # no connection to their database, or a query that took too long
    "500",  # "Oopsy"
    "empty",  # 200 and no row of what is there
    "error",  # 200 and a body that begins with `ERROR:`
    "truncate",  # 200 and a body that ends in mid-row
    "cut",  # the connection is closed in mid-body
]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Storm(NamedTuple):
    """One fault for all answers of a span of the tape's time; the end is excluded."""

    from_ns: int
    to_ns: int
    kind: Kind


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    kind: Kind
    from_: str = msgspec.field(name="from")
    to: str


def read_scenario(path: Path) -> list[Storm]:
    """A script: NDJSON lines `{"from": "2026-01-15T16:00Z", "to": "2026-01-15T16:30Z", "kind": "503"}`. Raises Refused."""
    storms: list[Storm] = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise Refused(f"--scenario: expected a readable file, was {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            said = msgspec.json.decode(line, type=_Line)
            storms.append(Storm(time_ns(said.from_), time_ns(said.to), said.kind))
        except (msgspec.MsgspecError, ValueError) as error:
            raise Refused(f"{path}:{number}: expected from, to and kind ({', '.join(KINDS)}): {error}") from error
    return storms


@dataclass(frozen=True)
class Faults:
    """chances: of each kind, for every answer. storms: by script. limit_per_s: more answers in a second are 429; 0: any.

    Raises ValueError for values out of range.
    """

    chances: tuple[tuple[Kind, float], ...] = ()
    storms: Sequence[Storm] = ()
    limit_per_s: int = 0

    def __post_init__(self) -> None:
        if any(not 0 <= chance <= 1 for _, chance in self.chances) or self.limit_per_s < 0:
            raise ValueError("expected chances from 0 to 1, and a limit of at least 0 requests per second")

    def of(self, now_ns: int, chance: float) -> Kind | None:
        """The fault of an answer at this time. chance: uniform in [0, 1)."""
        for storm in self.storms:
            if storm.from_ns <= now_ns < storm.to_ns:
                return storm.kind
        for kind, share in self.chances:
            if chance < share:
                return kind
            chance -= share
        return None


@dataclass
class Counters:
    """requests, answers by status, faults by kind; most: requests in the busiest second of the tape's time."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    most: int = 0
    second: tuple[int, int] = (0, 0)

    def seen(self, path: str, now_ns: int) -> int:
        """Count a request; returns how many this second of the tape has had, this one included."""
        self.requests[path] += 1
        second = now_ns // NS_PER_S
        self.second = (second, self.second[1] + 1 if self.second[0] == second else 1)
        self.most = max(self.most, self.second[1])
        return self.second[1]
