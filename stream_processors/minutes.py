"""The trades of one minute of one market, each counted once however often it was told. Pure, idempotent, in any order.

Of several tellings of a trade the one known first holds; of several known at one time what they say decides, never where
they stand: so a telling that says nothing new changes nothing. The table `trades` and what explains a bar have that order.
"""

import hashlib
from collections.abc import Iterable
from itertools import chain

import msgspec
from msgspec import Struct, field

from topics.events import Cause, KnownBy, Trade
from topics.units import NS_PER_MS

_MS_PER_S = 1_000
_LEAST, _GREATEST = -(2**64), 2**64  # beyond all numbers of a trade
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
Edge = tuple[int, str, int]  # ms, trade id, yes_e6 of the first or the last trade

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Seen]).decode


class Minute(Struct, array_like=True):
    """All that one bar is made of. The quote fields are fixed when the minute closes.

    trades: what holds of each, by id; or None for all of them, as long as none was told again, and then it is packed in their
    order, as runs of `Seen` in msgpack: a third of the memory, and stored without a look at it. further_known_ns: of trades
    that were told more than once, when the content that holds was known, too. otherwise: the other contents of a trade, each
    with every time at which it was known.
    """

    trades: dict[str, Seen | None] = field(default_factory=dict)
    packed: list[bytes] = field(default_factory=list)
    further_known_ns: dict[str, tuple[int, ...]] = field(default_factory=dict)
    pairs: int = 0
    opening: Edge | None = None
    closing: Edge | None = None
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


def held(state: Minute) -> dict[str, Seen]:
    """What holds of each trade of the minute, by its id."""
    if not state.packed:
        return state.trades  # type: ignore[return-value]  # nothing is packed, so none is None
    return dict(zip(state.trades, chain.from_iterable(map(_unpack, state.packed)), strict=True))


def add_trades(state: Minute, trades: Iterable[Trade]) -> list[Conflict]:
    """Fold trades of one market into their minute. The winner of several is the least by `telling_order`.

    The loop is the fold's hottest: it works on local names and compares numbers before it builds a key.
    """
    ids = state.trades
    fresh: list[Seen] = []
    again: list[Trade] = []
    volume_e4, known_ns, known_rank = state.volume_e4, state.known_ns, state.known_rank
    high_e6, low_e6 = (state.high_e6, state.low_e6) if ids else (_LEAST, _GREATEST)
    open_ms, open_id, open_e6 = state.opening or (_GREATEST, "", 0)
    close_ms, close_id, close_e6 = state.closing or (_LEAST, "", 0)
    for trade in trades:
        trade_id = trade.trade_id
        if trade_id in ids:
            again.append(trade)
            continue
        ids[trade_id] = None
        ms = trade.event_ns // NS_PER_MS
        price, size, known = trade.yes_price_e6, trade.size_e4, trade.known_ns
        rank = RANK[trade.known_by]
        fresh.append((ms, price, trade.no_price_e6, size, known, trade.cause, rank))
        volume_e4 += size
        if known > known_ns:  # noqa: PLR1730  # calls of max cost a tenth of the loop
            known_ns = known
        if rank > known_rank:  # noqa: PLR1730
            known_rank = rank
        if price > high_e6:  # noqa: PLR1730
            high_e6 = price
        if price < low_e6:  # noqa: PLR1730
            low_e6 = price
        if ms > close_ms or (ms == close_ms and trade_id > close_id):
            close_ms, close_id, close_e6 = ms, trade_id, price
        if ms < open_ms or (ms == open_ms and trade_id < open_id):
            open_ms, open_id, open_e6 = ms, trade_id, price
    if fresh:
        _keep(state, fresh)
        state.pairs += len(fresh)
        state.volume_e4, state.known_ns, state.known_rank = volume_e4, known_ns, known_rank
        state.high_e6, state.low_e6 = high_e6, low_e6
        state.opening, state.closing = (open_ms, open_id, open_e6), (close_ms, close_id, close_e6)
    return _told_again(state, again) if again else []


def _keep(state: Minute, fresh: list[Seen]) -> None:
    """Keep what holds of the trades whose ids came last."""
    if state.packed or len(state.trades) == len(fresh):
        state.packed.append(_pack(fresh))
    else:
        state.trades.update(dict(zip(reversed(state.trades), reversed(fresh), strict=False)))


def _told_again(state: Minute, tellings: Iterable[Trade]) -> list[Conflict]:
    """Tellings of trades whose ids are known. What was told twice will be again, so that it stays unpacked."""
    trades, pairs_before, won = held(state), state.pairs, False
    conflicts: list[Conflict | None] = []
    for trade in tellings:
        before = trades[trade.trade_id]
        conflicts.append(_again(state, trades, trade))
        won = won or trades[trade.trade_id] is not before
    if won:
        _refold(state, trades)
    if won or state.pairs != pairs_before:
        state.trades, state.packed = trades, []  # type: ignore[assignment]  # a dict of more may hold less
    return [conflict for conflict in conflicts if conflict is not None]


def _again(state: Minute, trades: dict[str, Seen], trade: Trade) -> Conflict | None:
    """Another delivery, another session's copy, or a conflict. trades: what holds, changed in place."""
    before = trades[trade.trade_id]
    known_ns, cause = before[4], before[5]
    if (trade.known_ns, trade.cause) == (known_ns, cause):
        return None  # the same record again
    content, content_before = content_of(trade), (*before[:4], before[6])
    if content == content_before:
        wins = (trade.known_ns, _place(trade.cause)) < (known_ns, _place(cause))
        _told_the_same(state, trades, trade, wins=wins)
        return None
    wins = (trade.known_ns, _digest(content)) < (known_ns, _digest(content_before))
    _told_otherwise(state, trades, trade, wins=wins)
    if content[1:4] == before[1:4] and _same_time(content[0], before[0]):
        return None
    loser = cause if wins else trade.cause
    winner, other = (content[:4], before[:4]) if wins else (before[:4], content[:4])
    return Conflict(
        trade, loser, f"trade {trade.trade_id}: expected (ms, yes_e6, no_e6, size_e4) {winner}, was {other}"
    )


def _told_the_same(state: Minute, trades: dict[str, Seen], trade: Trade, *, wins: bool) -> None:
    """The content that holds, at another place or another time."""
    trade_id = trade.trade_id
    further = state.further_known_ns.get(trade_id, ())
    known = {trades[trade_id][4], *further, trade.known_ns}
    state.pairs += len(known) - 1 - len(further)
    if wins:
        trades[trade_id] = _seen(trade)
    if others := known - {trades[trade_id][4]}:
        state.further_known_ns[trade_id] = tuple(sorted(others))


def _told_otherwise(state: Minute, trades: dict[str, Seen], trade: Trade, *, wins: bool) -> None:
    """Another content than the one that holds; of each the times at which it was known are kept."""
    trade_id = trade.trade_id
    holds = _telling(trades[trade_id])
    told: set[Telling] = {
        holds,
        *((known_ns, *holds[1:]) for known_ns in state.further_known_ns.pop(trade_id, ())),
        *state.otherwise.pop(trade_id, ()),
    }
    state.pairs -= len(told)
    told.add(_telling(_seen(trade)))
    state.pairs += len(told)
    if wins:
        trades[trade_id] = _seen(trade)
        holds = _telling(trades[trade_id])
    if further := tuple(sorted(each[0] for each in told - {holds} if each[1:] == holds[1:])):
        state.further_known_ns[trade_id] = further
    state.otherwise[trade_id] = tuple(sorted(each for each in told if each[1:] != holds[1:]))


def _telling(seen: Seen) -> Telling:
    ms, yes_e6, no_e6, size_e4, known_ns, _, rank = seen
    return (known_ns, ms, yes_e6, no_e6, size_e4, rank)


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


def _refold(state: Minute, trades: dict[str, Seen]) -> None:
    edges = [(seen[0], trade_id, seen[1]) for trade_id, seen in trades.items()]
    state.opening, state.closing = min(edges), max(edges)
    state.high_e6 = max(seen[1] for seen in trades.values())
    state.low_e6 = min(seen[1] for seen in trades.values())
    state.volume_e4 = sum(seen[3] for seen in trades.values())
    state.known_ns = max(seen[4] for seen in trades.values())
    state.known_rank = max(seen[6] for seen in trades.values())
