"""The trades of one minute of one market, each counted once however often it was told. Pure, idempotent, in any order.

Of several tellings of a trade the one known first holds; of several known at one time what they say decides, never where
they stand: so a telling that says nothing new changes nothing. The table `trades` and what explains a bar have that order.
"""

import hashlib
from collections.abc import Iterable

from msgspec import Struct, field

from topics.events import Cause, KnownBy, Trade
from topics.units import NS_PER_MS

_MS_PER_S = 1_000
KNOWN_BY: tuple[KnownBy, ...] = ("observed", "modelled", "assumed")
RANK: dict[str, int] = {name: rank for rank, name in enumerate(KNOWN_BY)}


class Point(Struct, array_like=True, frozen=True):
    """A session's best levels after its last change of `minute`. changes: frames folded so far in the session."""

    minute: int
    changes: int
    trusted: bool
    yes_bid_e6: int | None
    yes_ask_e6: int | None
    known_ns: int
    known_rank: int


# (ms, yes_e6, no_e6, size_e4, known_ns, cause, known rank)
Seen = tuple[int, int, int, int, int, Cause, int]
Content = tuple[int, int, int, int, int]  # ms, yes_e6, no_e6, size_e4, known rank
Telling = tuple[int, int, int, int, int, int]  # known_ns, and the content


class Minute(Struct, array_like=True):
    """All that one bar is made of. trades: by id. The quote fields are fixed when the minute closes.

    further_known_ns: of trades that were told more than once, when the content that holds was known, too. otherwise: the
    other contents of a trade, each with every time at which it was known.
    """

    trades: dict[str, Seen] = field(default_factory=dict)
    further_known_ns: dict[str, tuple[int, ...]] = field(default_factory=dict)
    pairs: int = 0
    open_key: tuple[int, str] | None = None
    close_key: tuple[int, str] | None = None
    high_e6: int = 0
    low_e6: int = 0
    volume_e4: int = 0
    known_ns: int = 0
    known_rank: int = 0
    closed: bool = False
    quote_order: tuple[int, int] | None = None
    quote: Point | None = None
    changes: dict[str, int] = field(default_factory=dict)
    otherwise: dict[str, tuple[Telling, ...]] = field(default_factory=dict)


class Conflict(Struct, frozen=True):
    """The same trade id with other material content: the later telling, where the loser stands, and what differs."""

    trade: Trade
    loser: Cause
    detail: str


def add_trades(state: Minute, trades: Iterable[Trade]) -> list[Conflict]:
    """Fold trades of one market into their minute. The winner of several is the least by `telling_order`.

    The loop is the fold's hottest: it works on local names and compares numbers before it builds a key.
    """
    seen = state.trades
    again: list[Trade] = []
    ids_before = len(seen)
    volume_e4, known_ns, known_rank = state.volume_e4, state.known_ns, state.known_rank
    high_e6, low_e6 = state.high_e6, state.low_e6
    open_key, close_key = state.open_key, state.close_key
    for trade in trades:
        trade_id = trade.trade_id
        if trade_id in seen:
            again.append(trade)
            continue
        ms = trade.event_ns // NS_PER_MS
        price, size, known = trade.yes_price_e6, trade.size_e4, trade.known_ns
        rank = RANK[trade.known_by]
        seen[trade_id] = (ms, price, trade.no_price_e6, size, known, trade.cause, rank)
        volume_e4 += size
        if known > known_ns:  # noqa: PLR1730  # calls of max cost a tenth of the loop
            known_ns = known
        if rank > known_rank:  # noqa: PLR1730
            known_rank = rank
        if open_key is None or close_key is None:
            open_key = close_key = (ms, trade_id)
            high_e6 = low_e6 = price
            continue
        if ms >= close_key[0] and (ms, trade_id) > close_key:
            close_key = (ms, trade_id)
        elif ms <= open_key[0] and (ms, trade_id) < open_key:
            open_key = (ms, trade_id)
        if price > high_e6:
            high_e6 = price
        elif price < low_e6:
            low_e6 = price
    state.pairs += len(seen) - ids_before
    state.volume_e4, state.known_ns, state.known_rank = volume_e4, known_ns, known_rank
    state.high_e6, state.low_e6 = high_e6, low_e6
    state.open_key, state.close_key = open_key, close_key
    return [conflict for trade in again if (conflict := _again(state, trade, seen[trade.trade_id])) is not None]


def _again(state: Minute, trade: Trade, before: Seen) -> Conflict | None:
    """The trade's id is known: another delivery, another session's copy, or a conflict."""
    known_ns, cause = before[4], before[5]
    if (trade.known_ns, trade.cause) == (known_ns, cause):
        return None  # the same record again
    content, content_before = content_of(trade), (*before[:4], before[6])
    if content == content_before:
        wins = (trade.known_ns, _place(trade.cause)) < (known_ns, _place(cause))
        _told_again(state, trade, known_ns, wins=wins)
        return None
    wins = (trade.known_ns, _digest(content)) < (known_ns, _digest(content_before))
    _told_otherwise(state, trade, (known_ns, *content_before), wins=wins)
    if content[1:4] == before[1:4] and _same_time(content[0], before[0]):
        return None
    loser = cause if wins else trade.cause
    winner, other = (content[:4], before[:4]) if wins else (before[:4], content[:4])
    return Conflict(
        trade, loser, f"trade {trade.trade_id}: expected (ms, yes_e6, no_e6, size_e4) {winner}, was {other}"
    )


def _told_again(state: Minute, trade: Trade, known_ns: int, *, wins: bool) -> None:
    """The content that holds, at another place or another time."""
    further = state.further_known_ns.get(trade.trade_id, ())
    known = {known_ns, *further, trade.known_ns}
    state.pairs += len(known) - 1 - len(further)
    if wins:
        state.trades[trade.trade_id] = _seen(trade)
        _refold(state)
    if others := known - {state.trades[trade.trade_id][4]}:
        state.further_known_ns[trade.trade_id] = tuple(sorted(others))


def _told_otherwise(state: Minute, trade: Trade, holds: Telling, *, wins: bool) -> None:
    """Another content than the one that holds; of each the times at which it was known are kept."""
    trade_id = trade.trade_id
    told: set[Telling] = {
        holds,
        *((known_ns, *holds[1:]) for known_ns in state.further_known_ns.pop(trade_id, ())),
        *state.otherwise.pop(trade_id, ()),
    }
    state.pairs -= len(told)
    told.add((trade.known_ns, *content_of(trade)))
    state.pairs += len(told)
    if wins:
        state.trades[trade_id] = _seen(trade)
        _refold(state)
        holds = (trade.known_ns, *content_of(trade))
    if further := tuple(sorted(each[0] for each in told - {holds} if each[1:] == holds[1:])):
        state.further_known_ns[trade_id] = further
    state.otherwise[trade_id] = tuple(sorted(each for each in told if each[1:] != holds[1:]))


def _seen(trade: Trade) -> Seen:
    ms, yes_e6, no_e6, size_e4, rank = content_of(trade)
    return (ms, yes_e6, no_e6, size_e4, trade.known_ns, trade.cause, rank)


def content_of(trade: Trade) -> Content:
    """What a telling says, and how surely it was known."""
    return (
        trade.event_ns // NS_PER_MS, trade.yes_price_e6, trade.no_price_e6, trade.size_e4, RANK[trade.known_by],
    )  # fmt: skip


def telling_order(trade: Trade) -> tuple[int, bytes, tuple[str, int, int, int]]:
    """Of several tellings of a trade the least holds: the one known first; of several at one time by what they say.

    So a telling that says nothing new changes nothing, wherever it stands. The table `trades` has the same order.
    """
    return trade.known_ns, _digest(content_of(trade)), _place(trade.cause)


def _digest(content: Content) -> bytes:
    """Eleven bytes of the MD5 of a content: the table's version has no room for more, and ClickHouse has it, too."""
    *figures, rank = content
    text = "/".join([*map(str, figures), KNOWN_BY[rank]])
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()[:11]


def _place(cause: Cause) -> tuple[str, int, int, int]:
    return (cause.topic, cause.partition, cause.offset, cause.index)


def _same_time(one_ms: int, other_ms: int) -> bool:
    """Whether two channels may tell of one moment: sockets told whole seconds before 2026-04-15, REST microseconds."""
    whole = one_ms % _MS_PER_S == 0 or other_ms % _MS_PER_S == 0
    return one_ms == other_ms or (whole and one_ms // _MS_PER_S == other_ms // _MS_PER_S)


def _refold(state: Minute) -> None:
    trades = state.trades
    keys = [(seen[0], trade_id) for trade_id, seen in trades.items()]
    state.open_key, state.close_key = min(keys), max(keys)
    state.high_e6 = max(seen[1] for seen in trades.values())
    state.low_e6 = min(seen[1] for seen in trades.values())
    state.volume_e4 = sum(seen[3] for seen in trades.values())
    state.known_ns = max(seen[4] for seen in trades.values())
    state.known_rank = max(seen[6] for seen in trades.values())
