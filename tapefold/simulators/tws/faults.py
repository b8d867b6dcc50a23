"""What can be made to go wrong at TWS, as values, and what was counted. Pure."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Literal

from tapefold.simulators.scenario import NONE, Scenario


@dataclass(frozen=True)
class Faults:
    """The faults of one run; the default is none. Raises ValueError for values out of range.

    Every `*_every` counts requests for history, over all connections: the Nth, the 2Nth, ... meets the fault.
    pacing_every: answered by 162 "pacing violation". empty_every: by a list without bars. silent_every: by nothing.
    late_every, late_s: answered so many seconds late. disconnect_every: the socket closes in the middle of the answer.
    lose_after: after so many requests the line to Interactive Brokers is lost (1100) for `outage_s`, once; nothing is
    answered meanwhile; then `restored` is said. 1101: live requests are gone, too.
    revise_every: every Nth bar is another one when it is asked for again. scenario: faults of `tws` by the simulated time.
    """

    pacing_every: int | None = None
    empty_every: int | None = None
    silent_every: int | None = None
    late_every: int | None = None
    late_s: float = 1.0
    disconnect_every: int | None = None
    lose_after: int | None = None
    outage_s: float = 1.0
    restored: Literal[1101, 1102] = 1101
    revise_every: int | None = None
    scenario: Scenario = NONE

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, int | float) and value < (0 if one.name.endswith("_s") else 1):
                raise ValueError(f"expected {one.name} from {0 if one.name.endswith('_s') else 1}, was {value}")

    def meets(self, every: int | None, number: int) -> bool:
        """Whether request `number` (from 1) is an Nth one."""
        return every is not None and number % every == 0


@dataclass
class Counters:
    """What the simulator saw and did.

    requests: by message. bars: bars sent in answers. open_max: the most requests for history that were open at once.
    violations: requests for history that broke Interactive Brokers' pacing rules. faults: faults that took place.
    """

    requests: Counter[int] = field(default_factory=Counter)
    bars: int = 0
    updates: int = 0
    open_max: int = 0
    violations: int = 0
    connections: int = 0
    faults: Counter[str] = field(default_factory=Counter)
