"""Order books, one per market and session, from snapshots and deltas; gaps make a book untrusted until its next snapshot.

`seq` belongs to a subscription (sid) and counts frames of all its markets, so a hole is seen by the producer only: it
says so with a Gap before the frame that revealed it. Within a session the log keeps the order of the frames; a record
that comes again (same `seq` or less) has been folded and changes nothing.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, field

from topics.events import BookDelta, BookSnapshot, BookTop, Cause, Gap, GapRow, KnownBy
from topics.units import E6_PER_DOLLAR, NS_PER_MINUTE, minute_of

OPEN_MAX = 16  # books of one market open at once; past it the one that changed least lately is let go, by a gap
SESSIONS_MAX = 1_024  # ended books, 60 bytes each, to know repeats by; past it the first to start goes

Levels = dict[int, int]
BookFact = BookSnapshot | BookDelta | Gap


class Book(Struct, array_like=True):
    """One session's book of one market. yes, no: resting size (e4) by price (e6). last_seq: last folded frame.

    start_ns, start_offset: when and where the session first spoke of this market (order of preference).
    changes: frames and gaps folded so far. last_minute: of the latest change.
    told_to: the last number that a gap has named. ended: the subscription is gone, its
    book will never be trusted again.
    """

    conn: str
    sid: int
    start_ns: int
    start_offset: int
    last_seq: int = -1
    trusted: bool = False
    ended: bool = False
    changes: int = 0
    last_minute: int = 0
    told_to: int = -1
    yes: Levels = field(default_factory=dict)
    no: Levels = field(default_factory=dict)
    best_yes: int | None = None
    best_no: int | None = None


class State(Struct, array_like=True):
    """All books of one market by session key (`conn/sid`), and its gaps that no snapshot has mended yet."""

    books: dict[str, Book] = field(default_factory=dict)
    gaps: list[GapRow] = field(default_factory=list)


class Quote(Struct, frozen=True, gc=False):
    """Best levels of one session's book after the last change of `minute` in this batch.

    changes: frames folded so far in the session.
    """

    market_ticker: str
    session: str
    conn: str
    start_ns: int
    start_offset: int
    minute: int
    changes: int
    trusted: bool
    yes_bid_e6: int | None
    yes_ask_e6: int | None
    known_ns: int
    known_by: KnownBy


class Output(Struct):
    """What a step says: rows in order of the facts, the last quote of each session and minute.

    minutes: those in which a change had an exchange time of its own. forgotten: where ended sessions began of which a
    repeat would be taken for news from now on.
    """

    tops: list[BookTop] = field(default_factory=list)
    gaps: list[GapRow] = field(default_factory=list)
    dead: list[tuple[BookFact, str]] = field(default_factory=list)
    quotes: dict[tuple[str, int], Quote] = field(default_factory=dict)
    minutes: set[int] = field(default_factory=set)
    forgotten: list[Cause] = field(default_factory=list)


def step(state: State, facts: Iterable[BookFact]) -> tuple[State, Output]:
    """Fold the facts of one market into `state`, which the caller hands over and gets back."""
    output = Output()
    for fact in facts:
        key = f"{fact.conn}/{fact.sid}"
        book = state.books.get(key)
        if book is None:
            book = _open(state, key, fact, output)
        if isinstance(fact, Gap):
            _gap(state, book, fact, output)
            continue
        seq = fact.seq
        if seq is None or seq <= book.last_seq or book.ended:
            continue  # folded before; its row was delivered before the state was stored
        book.last_seq = seq
        book.changes += 1
        if isinstance(fact, BookSnapshot):
            _snapshot(state, book, fact, output)
        else:
            _delta(book, fact, output)
        output.tops.append(_top(book, fact, seq))
        if isinstance(fact, BookDelta) and fact.event_by == "exchange":
            output.minutes.add(minute_of(fact.event_ns))
        _keep_quote(output, book, key, fact)
    if len(state.books) > SESSIONS_MAX:
        _forget(state, fact, output)
    return state, output


def _forget(state: State, fact: BookFact, output: Output) -> None:
    """Let ended books go, those that started first, down to as many as are kept."""
    ended = sorted((key for key, book in state.books.items() if book.ended), key=lambda key: _began(state, key))
    for key in ended[: max(0, len(ended) - SESSIONS_MAX)]:
        output.forgotten.append(_first_cause(state.books.pop(key), fact))


def _open(state: State, key: str, fact: BookFact, output: Output) -> Book:
    """A new book. What goes beyond a limit is decided by what the sessions said, not by which of them was read first."""
    book = Book(fact.conn, fact.sid, fact.event_ns, fact.cause.offset, last_minute=minute_of(fact.event_ns))
    state.books[key] = book
    there = [other for other, each in state.books.items() if not each.ended]
    if len(there) > OPEN_MAX:
        _let_go(
            min(there, key=lambda other: (state.books[other].last_minute, *_began(state, other))), state, fact, output
        )
    return book


def _began(state: State, key: str) -> tuple[int, int, str]:
    return state.books[key].start_ns, state.books[key].start_offset, key


def _first_cause(book: Book, fact: BookFact) -> Cause:
    """Where a session of the fact's market first spoke: a market's frames stand in one partition."""
    return Cause(fact.cause.topic, fact.cause.partition, book.start_offset)


def _let_go(key: str, state: State, fact: BookFact, output: Output) -> None:
    """End a book that may still be alive: a gap says so, and the quote that it showed is not trusted any more."""
    book = state.books[key]
    noticed_ns = max(book.start_ns, book.last_minute * NS_PER_MINUTE)
    told = Gap(
        **{name: getattr(fact, name) for name in ("market_ticker", "received_ns", "known_ns", "known_by")},
        event_ns=noticed_ns,
        cause=_first_cause(book, fact),
        conn=book.conn,
        sid=book.sid,
        seq=None,
        source="kalshi.ws",
        channel="orderbook_delta",
        kind="over_limit",
        from_seq=None,
        to_seq=None,
    )
    _end(book)
    book.changes += 1
    _keep_quote(output, book, key, told)
    output.gaps.append(gap_row(told))


def _end(book: Book) -> None:
    """A book that will not change again keeps its numbers only, so that repeats are known."""
    book.ended = True
    book.trusted = False
    book.yes, book.no = {}, {}
    book.best_yes = book.best_no = None


def _snapshot(state: State, book: Book, fact: BookSnapshot, output: Output) -> None:
    book.yes = dict(fact.yes)
    book.no = dict(fact.no)
    book.best_yes = max(book.yes, default=None)
    book.best_no = max(book.no, default=None)
    book.trusted = True
    for gap in state.gaps:
        output.gaps.append(_repaired(gap, fact.known_ns))
    state.gaps = []


def _delta(book: Book, fact: BookDelta, output: Output) -> None:
    if not book.trusted:
        return  # no snapshot yet, or a hole since: sums of deltas would be no book
    levels, best = (book.yes, book.best_yes) if fact.side == "yes" else (book.no, book.best_no)
    price = fact.price_e6
    size = levels.get(price, 0) + fact.delta_e4
    if size > 0:
        levels[price] = size
        if best is None or price > best:
            best = price
    else:
        levels.pop(price, None)
        if price == best:
            best = max(levels, default=None)
        if size < 0:
            book.trusted = False
            output.dead.append((fact, f"expected a resting size >= 0 after the delta, was {size} e4; book untrusted"))
    if fact.side == "yes":
        book.best_yes = best
    else:
        book.best_no = best


def _gap(state: State, book: Book, fact: Gap, output: Output) -> None:
    row = gap_row(fact)
    if book.ended or (fact.to_seq is not None and fact.to_seq <= max(book.told_to, book.last_seq)):
        return  # told again: it was folded before, and its row was delivered before the state was stored
    if not any(gap.row_id == row.row_id for gap in state.gaps):
        book.changes += 1
        book.trusted = False
        if fact.to_seq is None:
            _end(book)
        else:
            book.told_to = fact.to_seq
        state.gaps.append(row)
        _keep_quote(output, book, f"{fact.conn}/{fact.sid}", fact)
    output.gaps.append(row)


def gap_row(fact: Gap) -> GapRow:
    """The row of a gap that nothing has repaired yet."""
    hole = "" if fact.from_seq is None else f":{fact.from_seq}"
    return GapRow(
        row_id=f"gap:{fact.conn}:{fact.sid}:{fact.channel}:{fact.market_ticker}:{fact.kind}{hole}",
        rev=1,
        source=fact.source,
        market_ticker=fact.market_ticker,
        conn=fact.conn,
        sid=fact.sid,
        channel=fact.channel,
        kind=fact.kind,
        from_seq=fact.from_seq,
        to_seq=fact.to_seq,
        noticed_ns=fact.event_ns,
        repaired_ns=None,
        cause=fact.cause,
    )


def _repaired(row: GapRow, repaired_ns: int) -> GapRow:
    return GapRow(
        **{name: getattr(row, name) for name in GapRow.__struct_fields__ if name not in {"rev", "repaired_ns"}},
        rev=2,
        repaired_ns=repaired_ns,
    )


def _bid_ask(book: Book) -> tuple[int | None, int | None]:
    if not book.trusted:
        return None, None
    return book.best_yes, None if book.best_no is None else E6_PER_DOLLAR - book.best_no


def _keep_quote(output: Output, book: Book, key: str, fact: BookFact) -> None:
    # Within a session the sequence rules: what comes later stands later, even where a time stamp says otherwise.
    # Snapshots and gaps borrow their time anyway.
    minute = book.last_minute = max(minute_of(fact.event_ns), book.last_minute)
    bid, ask = _bid_ask(book)
    output.quotes[key, minute] = Quote(
        fact.market_ticker,
        key,
        book.conn,
        book.start_ns,
        book.start_offset,
        minute,
        book.changes,
        book.trusted,
        bid,
        ask,
        fact.known_ns,
        fact.known_by,
    )


def _top(book: Book, fact: BookSnapshot | BookDelta, seq: int) -> BookTop:
    bid, ask = _bid_ask(book)
    kind: Literal["snapshot", "delta"] = "delta" if isinstance(fact, BookDelta) else "snapshot"
    change = fact if isinstance(fact, BookDelta) else None
    return BookTop(
        row_id=f"book:{fact.conn}:{fact.sid}:{seq}:{fact.market_ticker}",
        market_ticker=fact.market_ticker,
        conn=fact.conn,
        sid=fact.sid,
        seq=seq,
        kind=kind,
        side=None if change is None else change.side,
        price_e6=None if change is None else change.price_e6,
        delta_e4=None if change is None else change.delta_e4,
        trusted=book.trusted,
        yes_bid_e6=bid,
        yes_bid_size_e4=None if bid is None else book.yes[bid],
        yes_ask_e6=ask,
        yes_ask_size_e4=None if ask is None or book.best_no is None else book.no[book.best_no],
        event_ns=fact.event_ns,
        received_ns=fact.received_ns,
        known_ns=fact.known_ns,
        known_by=fact.known_by,
        cause=fact.cause,
        event_by=fact.event_by,
    )
