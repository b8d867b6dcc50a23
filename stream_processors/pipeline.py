"""The fold: one batch of one fact partition, and the states of its keys, in; rows out. The one crank of live and replay.

States are stored only after their batch's rows are on the log: a crash between repeats rows, never loses one, and no
batch is ever half applied.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from stream_processors import minutes
from stream_processors.ingest import WATERMARK_TOPICS
from stream_processors.operators import asof, bars, books, curated, horizon, labels, watermark
from stream_processors.outputs import Output, dead
from stream_processors.weather import Weather
from topics.catalog import BARS_1M, BARS_TWS, BOOKS, FACT_BOOK, GAPS
from topics.codec import decode_fact, encode
from topics.domains import domain_of
from topics.errors import BadRecord
from topics.events import Beat, BookDelta, BookSnapshot, Cause, Gap, Market, Trade
from topics.facts import AnyFact
from topics.kalshi_rest import MarketTerms
from topics.tws import TwsBar, is_finished_minute
from topics.units import NS_PER_S, minute_of

T = TypeVar("T")
_STRETCH_RECORDS = 600  # decoded and folded before the next: as many stay in the processor's cache

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_encode_state = msgspec.msgpack.Encoder().encode
_decoders: dict[type, Callable[[bytes], object]] = {
    kind: msgspec.msgpack.Decoder(kind).decode
    for kind in (
        books.State,
        watermark.State,
        bars.Market,
        minutes.Minute,
        asof.Day,
        horizon.State,
        labels.Day,
        curated.State,
    )
}


class States:
    """The states of one partition number: loaded when first asked for, changed in place, encoded when a batch is done.

    They stay decoded from batch to batch, up to `kept_bytes_max` of their encoded size. Whoever drops a batch after it
    was folded must drop its `States` too, for they hold what it did.
    """

    def __init__(self, load: Callable[[str], bytes | None], kept_bytes_max: int = 8 * 1024 * 1024) -> None:
        self._load = load
        self._kept_bytes_max = kept_bytes_max
        self._states: dict[str, object] = {}
        self._changed: dict[str, object] = {}
        self._sizes: dict[str, int] = {}
        self._kept_bytes = 0

    def get(self, key: str, kind: type[T]) -> T:
        """The state under `key`, new if there is none. It counts as changed: redelivery must store it again."""
        state = self._changed.get(key)
        if state is None:
            state = self._states.pop(key, None)
            if state is None:
                value = self._load(key)
                state = kind() if value is None else _decoders[kind](value)
            self._changed[key] = state
        return state  # type: ignore[return-value]  # one key has one kind

    def read(self, key: str, kind: type[T]) -> T:
        """The state under `key` as it is, new if there is none: not to be changed, neither kept nor stored for this."""
        state = self._changed.get(key)
        if state is None:
            state = self._states.get(key)
        if state is None:
            value = self._load(key)
            state = kind() if value is None else _decoders[kind](value)
        return state  # type: ignore[return-value]  # one key has one kind

    def encoded(self) -> dict[str, bytes]:
        """All states that changed since the last call, by key; what is kept of them counts as unchanged from now on."""
        values = {key: _encode_state(state) for key, state in self._changed.items()}
        for key, value in values.items():
            self._kept_bytes += len(value) - self._sizes.get(key, 0)
            self._sizes[key] = len(value)
        self._states.update(self._changed)  # those used last stand last
        self._changed = {}
        while self._kept_bytes > self._kept_bytes_max:
            oldest = next(iter(self._states))
            del self._states[oldest]
            self._kept_bytes -= self._sizes.pop(oldest)
        return values

    def retired(self) -> dict[str, bytes]:
        """The states that were not asked for since the last call, by key, to be kept elsewhere: they are let go here.

        For a fold that nothing but memory bids to encode. It calls this instead of `encoded`, never both.
        """
        values = {key: _encode_state(state) for key, state in self._states.items()}
        self._states, self._changed = self._changed, {}
        return values


class Batch:
    """One batch of one fact partition on its way through the operators. records: how many it has taken."""

    def __init__(self, states: States, topic: str, partition: int, partitions: int) -> None:
        self.topic = topic
        self.records = 0
        self._states = states
        self._partition = partition
        self._partitions = partitions
        self._touched: dict[str, dict[int, bool]] = {}
        self._quoted: dict[str, int] = {}  # market -> the first minute of which a quote changed
        self._outputs: list[Output] = []
        self._others: list[AnyFact] = []  # all but the trades
        self._places: list[int] = []  # their offsets

    def fold(self, offsets: Sequence[int], values: Sequence[bytes | None]) -> list[Output]:
        """Fold records that are a whole batch; returns what to append."""
        self.take(offsets, values)
        return self.finish()

    def take(self, offsets: Sequence[int], values: Sequence[bytes | None]) -> None:
        """Take the next records of the batch."""
        self.records += len(values)
        for start in range(0, len(values), _STRETCH_RECORDS):
            stretch = offsets[start : start + _STRETCH_RECORDS]
            trades: defaultdict[str, list[Trade]] = defaultdict(list)
            facts = self._decoded(stretch, values[start : start + _STRETCH_RECORDS])
            for offset, fact in zip(stretch, facts, strict=True):
                if type(fact) is Trade:
                    trades[fact.market_ticker].append(fact)
                elif fact is not None:
                    self._others.append(fact)
                    self._places.append(offset)
            for market_ticker, group in trades.items():
                for minute, of_minute in _by_minute(group):
                    self._trades(market_ticker, minute, of_minute)

    def finish(self) -> list[Output]:
        """What to append, now that all records of the batch were taken; nothing depends on the order of rows."""
        self._advance(self._beats(self._others))
        self._bars()
        weather = Weather(self._states, self.topic, self._partition, self._partitions)
        return self._outputs + weather.fold(zip(self._places, self._others, strict=True))

    def _decoded(self, offsets: Sequence[int], values: Sequence[bytes | None]) -> list[AnyFact | None]:
        """The facts; None for each that cannot be read, which is said."""
        try:
            return list(map(decode_fact, values))  # type: ignore[arg-type]  # a tombstone is a TypeError
        except (*_UNREADABLE, TypeError):
            return [self._decoded_one(*record) for record in zip(offsets, values, strict=True)]

    def _decoded_one(self, offset: int, value: bytes | None) -> AnyFact | None:
        try:
            fact: AnyFact = decode_fact(value or b"")
        except _UNREADABLE as error:
            self._undecodable(offset, value or b"", error)
            return None
        return fact

    def _beats(self, facts: Iterable[AnyFact]) -> list[Beat]:
        """Fold all that is no trade; returns the beats, which speak for all before them."""
        beats: list[Beat] = []
        books_by_market: dict[str, list[books.BookFact]] = {}
        for fact in facts:
            match fact:
                case BookDelta() | BookSnapshot():
                    books_by_market.setdefault(fact.market_ticker, []).append(fact)
                case Gap():
                    if fact.channel == "orderbook_delta":
                        books_by_market.setdefault(fact.market_ticker, []).append(fact)
                    else:
                        self._emit(GAPS, fact.market_ticker, books.gap_row(fact))
                case Market():
                    self._market(fact)
                case MarketTerms():
                    self._closes(fact.market_ticker, fact.close_ns, fact.known_ns)
                case Beat():
                    beats.append(fact)
                case TwsBar():
                    self._tws_bar(fact)
                case _:
                    pass  # no operator waits for the others: the sink reads them from their fact topics
        for market_ticker, of_market in books_by_market.items():
            self._books(market_ticker, of_market)
        return beats

    def _tws_bar(self, bar: TwsBar) -> None:
        if is_finished_minute(bar):
            row = curated.step(self._states.get(f"tws/{curated.key_of(bar)}", curated.State), bar)
            self._outputs.append(Output(BARS_TWS, bar.symbol.encode(), None, encode(row)))

    def _undecodable(self, offset: int, value: bytes, error: Exception) -> None:
        cause = Cause(self.topic, self._partition, offset)
        refusal = BadRecord("bad_value", f"expected a fact of schema 1: {error}")
        self._outputs.append(
            dead("fold", refusal.reason, refusal.detail, cause, key=None, received_ns=None, value=value)
        )

    def _market_state(self, market_ticker: str) -> bars.Market:
        return self._states.get(f"market/{market_ticker}", bars.Market)

    def _minute_state(self, market_ticker: str, minute: int) -> minutes.Minute:
        return self._states.get(f"minute/{market_ticker}/{minute}", minutes.Minute)

    def _trades(self, market_ticker: str, minute: int, trades: Sequence[Trade]) -> None:
        conflicts = minutes.add_trades(self._minute_state(market_ticker, minute), trades)
        self._touched.setdefault(market_ticker, {})[minute] = True
        for conflict in conflicts:
            self._outputs.append(
                dead(
                    "fold",
                    "conflict",
                    conflict.detail,
                    conflict.loser,
                    key=domain_of(market_ticker).encode(),
                    received_ns=conflict.trade.received_ns,
                    value=encode(conflict.trade)
                    if conflict.loser == conflict.trade.cause
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
            self._quoted[market_ticker] = min(quote.minute, self._quoted.get(market_ticker, quote.minute))
            point = minutes.Point(
                quote.minute,
                quote.changes,
                quote.trusted,
                quote.yes_bid_e6,
                quote.yes_ask_e6,
                quote.known_ns,
                bars.known_rank(quote.known_by),
            )
            gone = bars.add_point(market, quote.session, quote.conn, (quote.start_ns, quote.start_offset), point)
            if gone is not None:
                cause = Cause(facts[0].cause.topic, facts[0].cause.partition, gone[1])
                self._over(market_ticker, cause, f"at most {bars.SESSIONS_MAX} sessions with quotes of {market_ticker}")
        for cause in output.forgotten:
            self._over(market_ticker, cause, f"at most {books.SESSIONS_MAX} sessions of {market_ticker}")

    def _over(self, market_ticker: str, cause: Cause, expected: str) -> None:
        """Name a session that is let go because others of the market were heard later; cause: where it began."""
        detail = f"expected {expected}; the one that begins here is let go"
        key = domain_of(market_ticker).encode()
        self._outputs.append(dead("fold", "over_limit", detail, cause, key=key, received_ns=None, value=b""))

    def _market(self, fact: Market) -> None:
        self._closes(fact.market_ticker, None if fact.close_ts is None else fact.close_ts * NS_PER_S, fact.known_ns)

    def _closes(self, market_ticker: str, close_ns: int | None, known_ns: int) -> None:
        if close_ns is not None:
            bars.announce_close(self._market_state(market_ticker), close_ns, known_ns)
            self._touched.setdefault(market_ticker, {})

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
        watermark.step(clock, self.topic, beats)
        was = clock.watermark_ns
        now = watermark.advance(clock, WATERMARK_TOPICS, self._partitions)
        if now is None:
            return
        minute_passed = was is None or minute_of(was) != minute_of(now)
        for market_ticker in [m for m, look in clock.open_markets.items() if look or minute_passed]:
            self._close(clock, market_ticker, now, heard)

    def _widen(self, market_ticker: str, market: bars.Market, touched: dict[int, bool], heard: bars.Heard) -> None:
        """Let the market's life reach all touched minutes; close those that lie before what has closed.

        An open minute shows the quote as it stands, so that one of that minute or of an earlier one changes it.
        """
        if (quoted := self._quoted.get(market_ticker)) is not None:
            touched.update((minute, True) for minute in market.open if minute >= quoted)
        for minute in sorted(touched):
            for earlier in bars.span(market, minute):
                bars.close_early(market, earlier, heard, self._minute_state(market_ticker, earlier))
                touched[earlier] = True
        for minute in touched:
            state = self._minute_state(market_ticker, minute)
            if market.closed_to is not None and minute < market.closed_to and not state.closed:
                bars.close_early(market, minute, heard, state)
            if not state.closed:
                market.open[minute] = True

    def _close(self, clock: watermark.State, market_ticker: str, watermark_ns: int, heard: bars.Heard) -> None:
        market = self._market_state(market_ticker)

        def state_of(minute: int) -> minutes.Minute:
            return self._minute_state(market_ticker, minute)

        touched = self._touched.setdefault(market_ticker, {})
        for minute in bars.close_minutes(market, watermark_ns, heard, state_of):
            touched[minute] = True
            market.open.pop(minute, None)
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


def _by_minute(trades: list[Trade]) -> Iterable[tuple[int, list[Trade]]]:
    """Trades of one market by the minute in which they happened: most often all in one."""
    times_ns = [trade.event_ns for trade in trades]
    minute = minute_of(min(times_ns))
    if minute_of(max(times_ns)) == minute:
        return ((minute, trades),)
    groups: defaultdict[int, list[Trade]] = defaultdict(list)
    for trade in trades:
        groups[minute_of(trade.event_ns)].append(trade)
    return groups.items()
