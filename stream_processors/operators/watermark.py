"""Watermarks from beats: how far every producer has surely told all it knew. No wall clock.

A beat of raw partition r says that all which its connection received before `clock_ns` stands before it. The watermark
of a fact partition is the least such clock over the topics waited for and the raw partitions; a connection that said
bye, or fell silent for its lease while another went on, is not waited for.
"""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct, field

from topics.events import Beat

CONNS_MAX = 256  # remembered per lane of those that nobody waits for; past it the one that was silent first is let go


class Pulse(Struct, array_like=True):
    """Last word of one connection on one lane."""

    clock_ns: int
    lease_ns: int
    bye: bool


class State(Struct, array_like=True):
    """lanes: `topic/raw partition` -> connection -> Pulse. watermark_ns never falls.

    open_markets: those with an open minute; True: look at them at the next beat, whatever its time.
    """

    lanes: dict[str, dict[str, Pulse]] = field(default_factory=dict)
    watermark_ns: int | None = None
    open_markets: dict[str, bool] = field(default_factory=dict)


def step(state: State, topic: str, beats: Iterable[Beat]) -> State:
    """Take the beats of one batch of `topic`."""
    for beat in beats:
        lane = state.lanes.setdefault(f"{topic}/{beat.raw_partition}", {})
        before = lane.get(beat.conn)
        clock_ns = beat.clock_ns if before is None else max(before.clock_ns, beat.clock_ns)
        lane[beat.conn] = Pulse(clock_ns, beat.lease_ns, beat.bye or (before is not None and before.bye))
        if len(lane) > CONNS_MAX:
            _let_go(lane)
    return state


def _let_go(lane: dict[str, Pulse]) -> None:
    """Let go the connections that were silent first, of those that nobody waits for; whoever is waited for stays."""
    newest_ns = max((pulse.clock_ns for pulse in lane.values() if not pulse.bye), default=None)
    in_order = sorted(lane, key=lambda conn: (lane[conn].clock_ns, conn))
    if newest_ns is None:  # all said good-bye: the furthest of them is how far the lane has come
        idle = in_order[:-1]
    else:
        idle = [conn for conn in in_order if not _is_waited_for(lane[conn], newest_ns)]
    for conn in idle[: len(lane) - CONNS_MAX]:
        del lane[conn]


def _is_waited_for(pulse: Pulse, newest_ns: int) -> bool:
    return not pulse.bye and pulse.clock_ns + pulse.lease_ns >= newest_ns


def advance(state: State, topics: Iterable[str], raw_partitions: int) -> int | None:
    """Raise and return the watermark; None while a lane of `topics` has never spoken."""
    least: int | None = None
    for topic in topics:
        for number in range(raw_partitions):
            lane = state.lanes.get(f"{topic}/{number}")
            if not lane:
                return state.watermark_ns
            clock_ns = _lane_clock_ns(lane)
            least = clock_ns if least is None else min(least, clock_ns)
    if least is not None and (state.watermark_ns is None or least > state.watermark_ns):
        state.watermark_ns = least
    return state.watermark_ns


def _lane_clock_ns(lane: dict[str, Pulse]) -> int:
    """The clock that everyone who is still there has reached; of those who left, how far the furthest came."""
    there = [pulse for pulse in lane.values() if not pulse.bye]
    if not there:
        return max(pulse.clock_ns for pulse in lane.values())
    newest_ns = max(pulse.clock_ns for pulse in there)
    return min(pulse.clock_ns for pulse in there if _is_waited_for(pulse, newest_ns))


class Heard(NamedTuple):
    """How far a connection has told on all lanes of a topic, -1 when it never did; gone: it will tell no more."""

    clock_ns: int
    gone: bool


def heard(state: State, topic: str, raw_partitions: int, conn: str) -> Heard:
    """What is known of `conn`. Only its own (or its successor's) good-bye on every lane makes it gone: silence may end."""
    pulses = [state.lanes.get(f"{topic}/{number}", {}).get(conn) for number in range(raw_partitions)]
    clock_ns = min(-1 if pulse is None else pulse.clock_ns for pulse in pulses)
    return Heard(clock_ns, gone=all(pulse is not None and pulse.bye for pulse in pulses))
