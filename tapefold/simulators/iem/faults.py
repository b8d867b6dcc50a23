"""What can be made to go wrong with an answer, by chance or by a script, and what was counted. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, get_args

from tapefold.simulators.scenario import NONE, Scenario
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


@dataclass(frozen=True)
class Faults:
    """chances: of each kind, for every answer. scenario: those of some time. limit_per_s: more in a second are 429; 0: any.

    Raises ValueError for values out of range.
    """

    chances: tuple[tuple[Kind, float], ...] = ()
    scenario: Scenario = NONE
    limit_per_s: int = 0

    def __post_init__(self) -> None:
        if any(not 0 <= chance <= 1 for _, chance in self.chances) or self.limit_per_s < 0:
            raise ValueError("expected chances from 0 to 1, and a limit of at least 0 requests per second")

    def of(self, now_ns: int, chance: float) -> Kind | None:
        """The fault of an answer at this time. chance: uniform in [0, 1)."""
        scripted = ((kind, self.scenario.share(kind, now_ns)) for kind in KINDS)
        for kind, share in (*scripted, *self.chances):
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
