"""One-minute bars of one market from its trades and its quotes.

A bar's prices are the yes prices of the trades whose exchange time lies in the minute; open and close go by
(time in ms, trade id), so arrival order plays no part. Bid and ask are the best levels at the minute's end, in the
session that stood (trusted, and heard of past the minute's end) and had started first. A bar closes when the watermark
has passed its end; a fact that comes later revises it. Minutes without trades lie between the market's first and last
timed fact, or run to its close where the close was announced.

rev = 2 x (2^20 x (pairs + changes) + pairs) + closed. pairs: distinct (trade, known_ns); changes: of quotes, folded and fixed, in
all sessions. As many facts, but other ones, make another revision.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct, field

from topics.events import Bar, Cause, KnownBy, Trade
from topics.units import NS_PER_MINUTE, NS_PER_MS

EMPTY_MINUTES_MAX = 44_640  # 31 days: no market is silent longer and still open; past it a time stamp is nonsense
SESSIONS_MAX = 64  # quotes of older sessions are let go: each reconnect makes a new one, closed bars keep their quote

_MS_PER_S = 1_000
_PAIRS_MAX = 1 << 20
_KNOWN_BY: tuple[KnownBy, ...] = ("observed", "modelled", "assumed")
_RANK: dict[str, int] = {name: rank for rank, name in enumerate(_KNOWN_BY)}


class Point(Struct, array_like=True, frozen=True):
    """A session's best levels after its last change of `minute`. changes: frames folded so far in the session."""

    minute: int
    changes: int
    trusted: bool
    yes_bid_e6: int | None
    yes_ask_e6: int | None
    known_ns: int
    known_rank: int


class Session(Struct, array_like=True):
    """Quotes of one book session, by rising minute. order: (start_ns, first offset); the least is preferred.

    forgot: points before the first one were let go. late_from: first closed minute that this session has still to
    speak for, because its point or its beat came late.
    """

    conn: str
    order: tuple[int, int]
    points: list[Point] = field(default_factory=list)
    forgot: bool = False
    late_from: int | None = None

    def at(self, minute: int) -> Point | None:
        """The levels that stood at the end of `minute`."""
        index = bisect_right(self.points, minute, key=_point_minute)
        return self.points[index - 1] if index else None


class Market(Struct, array_like=True):
    """first, last: minutes of the first and last timed fact. closed_to: minutes before it are closed.

    close_minute: first minute after the announced close; close_known_ns: when the announcement was known.
    evicted: changes of sessions that were let go; revisions count them on, so that none falls. open: minutes that have a row.
    """

    first: int | None = None
    last: int | None = None
    closed_to: int | None = None
    close_minute: int | None = None
    close_known_ns: int = -1
    evicted: int = 0
    sessions: dict[str, Session] = field(default_factory=dict)
    open: dict[int, bool] = field(default_factory=dict)


# (ms, yes_e6, no_e6, size_e4, known_ns, cause, known rank)
Seen = tuple[int, int, int, int, int, Cause, int]


class Minute(Struct, array_like=True):
    """All that one bar is made of. trades: by id. The quote fields are fixed when the minute closes.

    further_known_ns: of trades that were told more than once, when the tellings that did not win were known.
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


Heard = Callable[[str], tuple[int, bool]]
MinuteStates = Callable[[int], Minute]  # the state of a minute, for change; the caller keeps it


class Conflict(Struct, frozen=True):
    """The same trade id with other material content: the later telling, where the loser stands, and what differs."""

    trade: Trade
    loser: Cause
    detail: str


def _point_minute(point: Point) -> int:
    return point.minute


def add_trades(state: Minute, trades: Iterable[Trade]) -> list[Conflict]:
    """Fold trades of one market into their minute. The winner of several is the least (known_ns, topic, partition, offset).

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
        rank = _RANK[trade.known_by]
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
    order, order_before = _order(trade.known_ns, trade.cause), _order(before[4], before[5])
    if order == order_before:
        return None  # the same record again
    material = (trade.event_ns // NS_PER_MS, trade.yes_price_e6, trade.no_price_e6, trade.size_e4)
    wins = order < order_before
    further = state.further_known_ns.get(trade.trade_id, ())
    known = {before[4], *further, trade.known_ns}
    state.pairs += len(known) - 1 - len(further)
    if wins:
        state.trades[trade.trade_id] = (*material, trade.known_ns, trade.cause, _RANK[trade.known_by])
        _refold(state)
    if others := known - {state.trades[trade.trade_id][4]}:
        state.further_known_ns[trade.trade_id] = tuple(sorted(others))
    if material[1:] == before[1:4] and _same_time(material[0], before[0]):
        return None
    loser = before[5] if wins else trade.cause
    winner, other = (material, before[:4]) if wins else (before[:4], material)
    return Conflict(
        trade, loser, f"trade {trade.trade_id}: expected (ms, yes_e6, no_e6, size_e4) {winner}, was {other}"
    )


def _order(known_ns: int, cause: Cause) -> tuple[int, str, int, int, int]:
    return (known_ns, cause.topic, cause.partition, cause.offset, cause.index)


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


def span(market: Market, minute: int) -> Iterable[int]:
    """Widen the market's life to `minute`; returns minutes that are closed already and now need a row."""
    if market.first is None or market.last is None or market.closed_to is None:
        market.first = market.last = market.closed_to = minute
        return ()
    market.last = max(market.last, minute)
    if minute < market.first:
        was, market.first = market.first, minute
        if market.closed_to == was:  # nothing has closed yet: the span simply starts earlier
            market.closed_to = minute
            return ()
        return range(max(minute, was - EMPTY_MINUTES_MAX), was)
    return ()


def add_point(market: Market, session: str, conn: str, order: tuple[int, int], point: Point) -> None:
    """Take the last quote of a minute of one session."""
    state = market.sessions.get(session)
    if state is None:
        state = market.sessions[session] = Session(conn, order)
        if len(market.sessions) > SESSIONS_MAX:
            _evict(market, session)
    points = state.points
    if state.forgot and point.minute < points[0].minute:
        point = msgspec.structs.replace(point, minute=points[0].minute)  # cannot be: a session's minutes rise
    index = bisect_right(points, point.minute, key=_point_minute)
    if index and points[index - 1].minute == point.minute:
        if point.changes >= points[index - 1].changes:
            points[index - 1] = point
    else:
        points.insert(index, point)
    if market.closed_to is not None and point.minute < market.closed_to:
        state.late_from = point.minute if state.late_from is None else min(state.late_from, point.minute)


def _evict(market: Market, keep: str) -> None:
    """Let the session go that has been silent longest; what it counted counts on."""
    oldest = min(market.sessions.keys() - {keep}, key=lambda key: (market.sessions[key].points[-1].minute, key))
    market.evicted += market.sessions.pop(oldest).points[-1].changes + 1


def announce_close(market: Market, close_ns: int, known_ns: int) -> None:
    """Take the announced close; of several announcements the one known last holds."""
    if (known_ns, close_ns) >= (market.close_known_ns, (market.close_minute or 0) * NS_PER_MINUTE):
        market.close_known_ns = known_ns
        market.close_minute = -(-close_ns // NS_PER_MINUTE)


def close_minutes(market: Market, watermark_ns: int, heard: Heard, minutes: MinuteStates) -> list[int]:
    """Close what the watermark has passed; returns the minutes whose bars changed.

    heard: connection -> (how far it has surely told in ns, -1 when it never did; whether it is gone).
    """
    changed = _late_quotes(market, heard, minutes)
    if market.first is None or market.last is None or market.closed_to is None:
        return changed
    end = market.last + 1
    if market.close_minute is not None:
        end = max(end, market.close_minute)
    end = min(end, watermark_ns // NS_PER_MINUTE)
    if end - market.closed_to > EMPTY_MINUTES_MAX:
        market.closed_to = end - EMPTY_MINUTES_MAX
    for minute in range(market.closed_to, end):
        state = minutes(minute)
        state.closed = True
        _fix_quote(market, state, minute, heard)
        changed.append(minute)
    market.closed_to = max(market.closed_to, end)
    for session in market.sessions.values():
        if session.late_from is None:
            _forget_before(session, market.closed_to)
    return changed


def needs_watermark(market: Market) -> bool:
    """Whether something is open: an unclosed minute, or a late quote that waits for its connection's beat."""
    if any(session.late_from is not None for session in market.sessions.values()):
        return True
    if market.last is None or market.closed_to is None:
        return False
    return market.closed_to <= max(market.last, (market.close_minute or 0) - 1)


def close_early(market: Market, minute: int, heard: Heard, state: Minute) -> None:
    """Close a minute before the ones that closed already: a fact came that is older than the market's first."""
    state.closed = True
    _fix_quote(market, state, minute, heard)


def _fix_quote(market: Market, state: Minute, minute: int, heard: Heard) -> None:
    """Choose the quote of a minute that closes. A session that was not heard past its end may still speak, late."""
    end_ns = (minute + 1) * NS_PER_MINUTE
    state.changes = {"": market.evicted} if market.evicted else {}
    for key, session in market.sessions.items():
        point = session.at(minute)
        if point is None:
            continue
        clock_ns, gone = heard(session.conn)
        if clock_ns >= end_ns:
            _speak(state, key, session, point)
            continue
        state.changes[key] = point.changes
        if not gone:
            session.late_from = minute if session.late_from is None else min(session.late_from, minute)


def _speak(state: Minute, key: str, session: Session, point: Point) -> None:
    """Let a session that was heard past the minute's end say its quote; the earliest trusted one holds."""
    state.changes[key] = point.changes + 1
    if state.quote_order is None or session.order <= state.quote_order:
        if point.trusted:
            state.quote, state.quote_order = point, session.order
        elif session.order == state.quote_order:
            state.quote, state.quote_order = None, None


def _late_quotes(market: Market, heard: Heard, minutes: MinuteStates) -> list[int]:
    """Quotes for minutes that closed before them. A session that was not there then counts only where none stood."""
    changed: list[int] = []
    for key, session in market.sessions.items():
        if session.late_from is None or market.closed_to is None or market.first is None:
            continue
        clock_ns, gone = heard(session.conn)
        heard_to = min(market.closed_to, clock_ns // NS_PER_MINUTE)
        for minute in range(max(session.late_from, market.first), heard_to):
            point = session.at(minute)
            state = minutes(minute)
            if point is None or state.changes.get(key) == point.changes + 1:
                continue
            stands = state.quote_order is not None and state.quote_order < session.order
            if key not in state.changes and (stands or not point.trusted):
                continue
            _speak(state, key, session, point)
            changed.append(minute)
        session.late_from = None if gone or heard_to >= market.closed_to else max(session.late_from, heard_to)
    return changed


def _forget_before(session: Session, minute: int) -> None:
    index = bisect_right(session.points, minute - 1, key=_point_minute)
    if index > 1:
        del session.points[: index - 1]  # the last one before `minute` still stands
        session.forgot = True


def bar(market_ticker: str, market: Market, minute: int, state: Minute) -> Bar:
    """The row of one minute, from all that is folded so far."""
    if state.closed:
        quote, changes = state.quote, sum(state.changes.values())
    else:
        quote, changes = _provisional(market, minute)
    minute_ns = minute * NS_PER_MINUTE
    known_ns = max(minute_ns + NS_PER_MINUTE, state.known_ns, 0 if quote is None else quote.known_ns)
    rank = max(state.known_rank, 0 if quote is None else quote.known_rank)
    opened, closing = state.open_key, state.close_key
    return Bar(
        row_id=f"bar:{market_ticker}:{minute}",
        rev=2 * ((state.pairs + changes) * _PAIRS_MAX + state.pairs) + state.closed,
        market_ticker=market_ticker,
        minute_ns=minute_ns,
        open_e6=None if opened is None else state.trades[opened[1]][1],
        high_e6=None if opened is None else state.high_e6,
        low_e6=None if opened is None else state.low_e6,
        close_e6=None if closing is None else state.trades[closing[1]][1],
        volume_e4=state.volume_e4,
        trades=len(state.trades),
        yes_bid_e6=None if quote is None else quote.yes_bid_e6,
        yes_ask_e6=None if quote is None else quote.yes_ask_e6,
        closed=state.closed,
        known_ns=known_ns,
        known_by=_KNOWN_BY[rank],
    )


def _provisional(market: Market, minute: int) -> tuple[Point | None, int]:
    best: Session | None = None
    quote: Point | None = None
    changes = market.evicted
    for session in market.sessions.values():
        point = session.at(minute)
        if point is None:
            continue
        changes += point.changes
        if point.trusted and (best is None or session.order < best.order):
            best, quote = session, point
    return quote, changes


def known_rank(known_by: KnownBy) -> int:
    """How uncertain: observed 0, modelled 1, assumed 2: a row is as certain as its least certain input."""
    return _RANK[known_by]
