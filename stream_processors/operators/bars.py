"""One-minute bars of one market from its trades and its quotes.

A bar's prices are the yes prices of the trades whose exchange time lies in the minute; open and close go by
(time in ms, trade id), so arrival order plays no part. Bid and ask are the best levels at the minute's end, in the
session that stood (trusted, and heard of past the minute's end) and had started first. A bar closes when the watermark
has passed its end; a fact that comes later revises it. Minutes without trades lie between the market's first and last
timed fact, or run to its close where the close was announced.

rev = 2 x (2^20 x (pairs + changes) + pairs) + closed. pairs: distinct (trade, known_ns, content); changes: of quotes, folded and fixed, in
all sessions. As many facts, but other ones, make another revision.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct, field

from stream_processors.minutes import KNOWN_BY, RANK, Minute, Point
from topics.events import Bar, KnownBy
from topics.units import NS_PER_MINUTE

EMPTY_MINUTES_MAX = 44_640  # 31 days: of a longer silence only the last ones before the next fact have rows
SESSIONS_MAX = 64  # past it the session silent longest is let go, and named: each reconnect makes a new one

_PAIRS_MAX = 1 << 20


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
    silences: [first, end) of minutes without a row: nothing was told for so long.
    """

    first: int | None = None
    last: int | None = None
    closed_to: int | None = None
    close_minute: int | None = None
    close_known_ns: int = -1
    evicted: int = 0
    sessions: dict[str, Session] = field(default_factory=dict)
    open: dict[int, bool] = field(default_factory=dict)
    silences: list[tuple[int, int]] = field(default_factory=list)


Heard = Callable[[str], tuple[int, bool]]
MinuteStates = Callable[[int], Minute]  # the state of a minute, for change; the caller keeps it


def _point_minute(point: Point) -> int:
    return point.minute


def span(market: Market, minute: int) -> Iterable[int]:
    """Widen the market's life to `minute`; returns minutes that are closed already and now need a row."""
    if market.first is None or market.last is None or market.closed_to is None:
        market.first = market.last = market.closed_to = minute
        return ()
    market.last = max(market.last, minute)
    if minute >= market.first:
        return _broken_silence(market, minute) if market.silences else ()
    was, market.first = market.first, minute
    if market.closed_to == was:  # nothing has closed yet: the span simply starts earlier
        market.closed_to = minute
        return ()
    begin = max(minute, was - EMPTY_MINUTES_MAX)
    market.silences = [(minute + 1, begin), *market.silences] if minute + 1 < begin else market.silences
    return range(begin, was)


def add_point(market: Market, session: str, conn: str, order: tuple[int, int], point: Point) -> tuple[int, int] | None:
    """Take the last quote of a minute of one session; returns the order of the session that was let go for it, if any."""
    state = market.sessions.get(session)
    is_new = state is None
    if state is None:
        state = market.sessions[session] = Session(conn, order)
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
    return _evict(market) if is_new and len(market.sessions) > SESSIONS_MAX else None


def _evict(market: Market) -> tuple[int, int]:
    """Let the session go that has been silent longest, be it the new one; what it counted counts on."""
    oldest = min(
        market.sessions, key=lambda key: (market.sessions[key].points[-1].minute, *market.sessions[key].order, key)
    )
    gone = market.sessions.pop(oldest)
    market.evicted += gone.points[-1].changes + 1
    return gone.order


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
    bound, end = end, min(end, watermark_ns // NS_PER_MINUTE)
    for minute in _with_rows(market, bound, end):
        state = minutes(minute)
        state.closed = True
        _fix_quote(market, state, minute, heard)
        changed.append(minute)
    market.closed_to = max(market.closed_to, end)
    for session in market.sessions.values():
        if session.late_from is None:
            _forget_before(session, market.closed_to)
    return changed


def _with_rows(market: Market, bound: int, end: int) -> Iterable[int]:
    """The minutes that close up to `end` and have rows: those with facts, and `EMPTY_MINUTES_MAX` before each and before `bound`.

    The others are kept as silences. How far the watermark comes at once plays no part.
    """
    at = market.closed_to or 0
    for target in [*sorted(minute for minute in market.open if minute >= at), bound]:
        begin = max(at, target - EMPTY_MINUTES_MAX)
        _silent(market, at, min(begin, end))
        at = target + (target != bound)
        yield from range(begin, min(at, end))


def _silent(market: Market, first: int, end: int) -> None:
    if first >= end:
        return
    if market.silences and market.silences[-1][1] == first:
        first = market.silences.pop()[0]
    market.silences.append((first, end))


def _broken_silence(market: Market, minute: int) -> list[int]:
    """The minutes of silences that have rows from now on, for a fact of `minute` came behind them."""
    told: list[int] = []
    silences: list[tuple[int, int]] = []
    for first, end in market.silences:
        told += range(max(first, minute - EMPTY_MINUTES_MAX), min(end, minute))
        parts = (first, min(end, minute - EMPTY_MINUTES_MAX)), (max(first, minute + 1), end)
        silences += [part for part in parts if part[0] < part[1]]
    market.silences = silences
    return told


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
    opening, closing = state.opening, state.closing
    return Bar(
        row_id=f"bar:{market_ticker}:{minute}",
        rev=2 * ((state.pairs + changes) * _PAIRS_MAX + state.pairs) + state.closed,
        market_ticker=market_ticker,
        minute_ns=minute_ns,
        open_e6=None if opening is None else opening[2],
        high_e6=None if opening is None else state.high_e6,
        low_e6=None if opening is None else state.low_e6,
        close_e6=None if closing is None else closing[2],
        volume_e4=state.volume_e4,
        trades=len(state.trades),
        yes_bid_e6=None if quote is None else quote.yes_bid_e6,
        yes_ask_e6=None if quote is None else quote.yes_ask_e6,
        closed=state.closed,
        known_ns=known_ns,
        known_by=KNOWN_BY[rank],
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
    return RANK[known_by]
