"""What can be made to go wrong, as values, and what was counted. Pure."""

from collections import Counter
from dataclasses import dataclass, field

from tapefold.simulators.scenario import NONE, Scenario


@dataclass(frozen=True)
class Faults:
    """The faults of one run; the default is none. Raises ValueError for values out of range.

    drop_seq: on each sequenced channel of the first connection, the frame with this `seq` is not sent, though the
        number is consumed and the simulator's own book takes it. Once per channel: a client that recovers by
        subscribing anew (a new sid) would else lose the same number for ever. From 1; `None` for none.
    stall_s: once, for so many seconds of wall time, one connection hears nothing: no data, ping, pong or FIN.
    stall_after_frames: data frames that a connection has had when the stall begins.
    disconnect_every_frames: after so many data frames the TCP connection is cut without a close frame.
    outage_s: seconds of recording time after a cut whose frames are lost; new connections get HTTP 503 meanwhile.
    duplicate_probability: chance in [0, 1] that a data frame is sent twice, byte for byte.
    replies_take_seq: `ok` and `unsubscribed` consume a number of their sid, as the vendor's schema implies; `False`
        sends them without. A setting rather than a fault: which of the two holds is not documented.
    scenario: faults of `kalshi.ws` at times of the recording.
    """

    drop_seq: int | None = None
    stall_s: float | None = None
    stall_after_frames: int = 1_000
    disconnect_every_frames: int | None = None
    outage_s: float = 2.0
    duplicate_probability: float = 0.0
    replies_take_seq: bool = True
    scenario: Scenario = NONE

    def __post_init__(self) -> None:
        counts = (self.drop_seq, self.disconnect_every_frames, self.stall_after_frames)
        if any(count is not None and count < 1 for count in counts):
            raise ValueError("expected drop_seq, stall_after_frames and disconnect_every_frames from 1")
        if self.outage_s < 0 or (self.stall_s is not None and self.stall_s < 0):
            raise ValueError("expected outage_s and stall_s from 0")
        if not 0 <= self.duplicate_probability <= 1:
            raise ValueError("expected duplicate_probability from 0 to 1")


REST_KINDS = ("429", "500", "503", "empty", "truncate", "duplicate", "conflict")
"""What may happen to a REST answer: see `tapefold.simulators.scenario.KINDS`."""


@dataclass(frozen=True)
class RestFaults:
    """Faults of REST answers. Raises ValueError for a kind that is none and for a chance out of [0, 1].

    chances: (kind, chance) pairs, tried in order. per_second: more requests in one second get 429; 0 for any number.
    scenario: faults of `kalshi.rest` by the simulated time.
    """

    chances: tuple[tuple[str, float], ...] = ()
    per_second: int = 0
    scenario: Scenario = NONE

    def __post_init__(self) -> None:
        for kind, chance in self.chances:
            if kind not in REST_KINDS or not 0 <= chance <= 1:
                raise ValueError(f"expected KIND:CHANCE with KIND of {', '.join(REST_KINDS)} and a chance from 0 to 1")


@dataclass
class Counters:
    """What the simulator did, by frame type (`orderbook_delta`, `trade`, ...).

    sent: distinct data frames handed to the transport; a snapshot made for a command counts.
    duplicated: second copies, on top of `sent`.
    dropped: left out by `drop_seq`; replies count under their own type.
    lost: frames that a connection that was cut, or left, would have had until the next client subscribes.
    passed: recorded data frames that the recording has passed, whoever listened.
    cuts, stalls: faults that took place. slow_cuts: connections cut because they took nothing.
    refused: handshakes and REST requests answered 401.
    rest: requests by path. rest_faults: answers that were broken, by kind. rest_per_second_max: the busiest second.
    """

    sent: Counter[str] = field(default_factory=Counter)
    duplicated: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    cuts: int = 0
    stalls: int = 0
    slow_cuts: int = 0
    refused: int = 0
    rest: Counter[str] = field(default_factory=Counter)
    rest_faults: Counter[str] = field(default_factory=Counter)
    rest_per_second_max: int = 0
