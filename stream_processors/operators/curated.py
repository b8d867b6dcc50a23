"""TWS bars of one minute, curated: of all finished tellings of a bar the one that holds.

The latest content holds, and is known since the first telling of it after the last one of another content: a correction
that is taken back is known anew. A function of the set of tellings, in whatever order they come.
"""

import hashlib

from msgspec import Struct

from topics.events import Cause, KnownBy
from topics.tws import TwsBar, TwsMinute, is_finished_minute

Content = tuple[int, int, int, int, int | None, int | None, int | None]


class Telling(Struct, array_like=True, frozen=True, order=True):
    """One finished telling: when it was known, where it stands, what it says."""

    known_ns: int
    cause: tuple[str, int, int, int]
    known_by: KnownBy
    content: Content


class State(Struct):
    """All tellings of one bar, in order."""

    told: list[Telling] = []


def key_of(bar: TwsBar) -> str:
    """The identity of a bar: contract, kind of price, hours and minute."""
    return f"{bar.symbol}/{bar.con_id}/{bar.what_to_show}/{bar.use_rth}/{bar.event_ns}"


def row_id_of(bar: TwsBar) -> str:
    """The identity of the minute that a bar tells of."""
    return hashlib.sha256(key_of(bar).encode()).hexdigest()[:32]


def step(state: State, bar: TwsBar) -> TwsMinute | None:
    """Take one telling; returns the bar as it now holds. None: the telling is of another size, or not finished."""
    if not is_finished_minute(bar):
        return None
    cause = (bar.cause.topic, bar.cause.partition, bar.cause.offset, bar.cause.index)
    content = (bar.open_e6, bar.high_e6, bar.low_e6, bar.close_e6, bar.volume_e4, bar.average_e6, bar.count)
    telling = Telling(bar.known_ns, cause, bar.known_by, content)
    if telling not in state.told:
        state.told = sorted([*state.told, telling])
    return _row(state, bar)


def _row(state: State, bar: TwsBar) -> TwsMinute:
    content = state.told[-1].content
    first = len(state.told) - 1
    while first > 0 and state.told[first - 1].content == content:
        first -= 1
    telling = state.told[first]
    opened, high, low, close, volume, average, count = content
    return TwsMinute(
        row_id=row_id_of(bar),
        rev=len(state.told),
        symbol=bar.symbol,
        con_id=bar.con_id,
        what_to_show=bar.what_to_show,
        use_rth=bar.use_rth,
        minute_ns=bar.event_ns,
        open_e6=opened,
        high_e6=high,
        low_e6=low,
        close_e6=close,
        volume_e4=volume,
        average_e6=average,
        count=count,
        contents=len({one.content for one in state.told}),
        known_ns=telling.known_ns,
        known_by=telling.known_by,
        cause=Cause(*telling.cause),
    )
