"""The fold: one batch of one fact partition, and the states of its keys, in; rows out. The one crank of live and replay.

States are decoded afresh for each batch and stored only after the batch's rows are on the log: a crash between repeats
rows, never loses one, and no batch is ever half applied.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from stream_processors.ingest import WATERMARK_TOPICS
from stream_processors.operators import bars, books, watermark
from stream_processors.outputs import Output, dead
from topics.catalog import BARS_1M, BOOKS, FACT_BOOK, GAPS
from topics.codec import decode_fact, encode
from topics.domains import domain_of
from topics.errors import BadRecord
from topics.events import Beat, BookDelta, BookSnapshot, Cause, Gap, Market, Trade
from topics.facts import AnyFact
from topics.units import NS_PER_S, minute_of

T = TypeVar("T")
_encode_state = msgspec.msgpack.Encoder().encode
_decoders: dict[type, Callable[[bytes], object]] = {
    kind: msgspec.msgpack.Decoder(kind).decode for kind in (books.State, watermark.State, bars.Market, bars.Minute)
}


class States:
    """The states one batch works on: loaded once, changed in place, encoded once at the end."""

    def __init__(self, load: Callable[[str], bytes | None]) -> None:
        self._load = load
        self._states: dict[str, object] = {}

    def get(self, key: str, kind: type[T]) -> T:
        """The state under `key`, new if there is none. It counts as changed: redelivery must store it again."""
        state = self._states.get(key)
        if state is None:
            value = self._load(key)
            state = self._states[key] = kind() if value is None else _decoders[kind](value)
        return state  # type: ignore[return-value]  # one key has one kind

    def encoded(self) -> dict[str, bytes]:
        """All states of the batch by key."""
        return {key: _encode_state(state) for key, state in self._states.items()}


class Batch:
    """One batch of one fact partition on its way through the operators."""

    def __init__(self, states: States, topic: str, partition: int, partitions: int) -> None:
        self._states = states
        self._topic = topic
        self._partition = partition
        self._partitions = partitions
        self._touched: dict[str, dict[int, bool]] = {}
        self._outputs: list[Output] = []

    def fold(self, values: Iterable[tuple[int, bytes | None]]) -> list[Output]:
        """Fold (offset, value) pairs; returns what to append, rows before nothing else depends on their order."""
        beats: list[Beat] = []
        books_by_market: dict[str, list[books.BookFact]] = {}
        for offset, value in values:
            fact = self._decode(offset, value)
            match fact:
                case Trade():
                    self._trade(fact)
                case BookDelta() | BookSnapshot():
                    books_by_market.setdefault(fact.market_ticker, []).append(fact)
                case Gap():
                    if fact.channel == "orderbook_delta":
                        books_by_market.setdefault(fact.market_ticker, []).append(fact)
                    else:
                        self._emit(GAPS, fact.market_ticker, books.gap_row(fact))
                case Market():
                    self._market(fact)
                case Beat():
                    beats.append(fact)
                case _:
                    pass  # no operator waits for the others: the sink reads them from their fact topics
        for market_ticker, facts in books_by_market.items():
            self._books(market_ticker, facts)
        self._advance(beats)
        self._bars()
        return self._outputs

    def _decode(self, offset: int, value: bytes | None) -> AnyFact | None:
        try:
            fact: AnyFact = decode_fact(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            cause = Cause(self._topic, self._partition, offset)
            refusal = BadRecord("bad_value", f"expected a fact of schema 1: {error}")
            self._outputs.append(
                dead("fold", refusal.reason, refusal.detail, cause, key=None, received_ns=None, value=value or b"")
            )
            return None
        return fact

    def _market_state(self, market_ticker: str) -> bars.Market:
        return self._states.get(f"market/{market_ticker}", bars.Market)

    def _minute_state(self, market_ticker: str, minute: int) -> bars.Minute:
        return self._states.get(f"minute/{market_ticker}/{minute}", bars.Minute)

    def _trade(self, trade: Trade) -> None:
        market_ticker = trade.market_ticker
        minute = minute_of(trade.event_ns)
        conflict = bars.add_trade(self._minute_state(market_ticker, minute), trade)
        touched = self._touched.get(market_ticker)
        if touched is None:
            touched = self._touched[market_ticker] = {}
        touched[minute] = True
        if conflict is not None:
            key = domain_of(market_ticker).encode()
            self._outputs.append(
                dead(
                    "fold",
                    "conflict",
                    conflict.detail,
                    conflict.loser,
                    key=key,
                    received_ns=trade.received_ns,
                    value=encode(trade)
                    if conflict.loser == trade.cause
                    else b"",  # the earlier one stands at its cause
                )
            )

    def _books(self, market_ticker: str, facts: Sequence[books.BookFact]) -> None:
        _, output = books.step(self._states.get(f"books/{market_ticker}", books.State), facts)
        for top in output.tops:
            self._emit(BOOKS, market_ticker, top)
        for gap in output.gaps:
            self._emit(GAPS, market_ticker, gap)
        for fact, detail in output.dead:
            key = domain_of(market_ticker).encode()
            self._outputs.append(
                dead(
                    "fold",
                    "bad_value",
                    detail,
                    fact.cause,
                    key=key,
                    received_ns=fact.received_ns,
                    value=encode(fact),
                )
            )
        market = self._market_state(market_ticker)
        self._touched.setdefault(market_ticker, {}).update(dict.fromkeys(output.minutes, True))
        for quote in output.quotes.values():
            point = bars.Point(
                quote.minute,
                quote.changes,
                quote.trusted,
                quote.yes_bid_e6,
                quote.yes_ask_e6,
                quote.known_ns,
                bars.known_rank(quote.known_by),
            )
            bars.add_point(market, quote.session, quote.conn, (quote.start_ns, quote.start_offset), point)

    def _market(self, fact: Market) -> None:
        if fact.close_ts is not None:
            market = self._market_state(fact.market_ticker)
            bars.announce_close(market, fact.close_ts * NS_PER_S, fact.known_ns)
            self._touched.setdefault(fact.market_ticker, {})

    def _advance(self, beats: Sequence[Beat]) -> None:
        """Widen spans, take beats, close minutes."""
        clock = self._states.get(f"watermark/{self._partition}", watermark.State)

        def heard(conn: str) -> watermark.Heard:
            return watermark.heard(clock, FACT_BOOK, self._partitions, conn)

        for market_ticker, touched in self._touched.items():
            market = self._market_state(market_ticker)
            self._widen(market_ticker, market, touched, heard)
            if bars.needs_watermark(market) or market.first is None:
                clock.open_markets[market_ticker] = True
        if not beats:
            return
        watermark.step(clock, self._topic, beats)
        was = clock.watermark_ns
        now = watermark.advance(clock, WATERMARK_TOPICS, self._partitions)
        if now is None:
            return
        minute_passed = was is None or minute_of(was) != minute_of(now)
        for market_ticker in [m for m, look in clock.open_markets.items() if look or minute_passed]:
            self._close(clock, market_ticker, now, heard)

    def _widen(self, market_ticker: str, market: bars.Market, touched: dict[int, bool], heard: bars.Heard) -> None:
        """Let the market's life reach all touched minutes; close those that lie before what has closed."""
        for minute in sorted(touched):
            for earlier in bars.span(market, minute):
                bars.close_early(market, earlier, heard, self._minute_state(market_ticker, earlier))
                touched[earlier] = True
        for minute in touched:
            state = self._minute_state(market_ticker, minute)
            if market.closed_to is not None and minute < market.closed_to and not state.closed:
                bars.close_early(market, minute, heard, state)

    def _close(self, clock: watermark.State, market_ticker: str, watermark_ns: int, heard: bars.Heard) -> None:
        market = self._market_state(market_ticker)

        def minutes(minute: int) -> bars.Minute:
            return self._minute_state(market_ticker, minute)

        touched = self._touched.setdefault(market_ticker, {})
        for minute in bars.close_minutes(market, watermark_ns, heard, minutes):
            touched[minute] = True
        if bars.needs_watermark(market):
            late = any(session.late_from is not None for session in market.sessions.values())
            clock.open_markets[market_ticker] = late
        else:
            del clock.open_markets[market_ticker]

    def _bars(self) -> None:
        for market_ticker, touched in self._touched.items():
            market = self._market_state(market_ticker)
            for minute in sorted(touched):
                row = bars.bar(market_ticker, market, minute, self._minute_state(market_ticker, minute))
                self._emit(BARS_1M, market_ticker, row)

    def _emit(self, topic: str, market_ticker: str, row: object) -> None:
        self._outputs.append(Output(topic, domain_of(market_ticker).encode(), None, encode(row)))
