"""The input that every contestant reads: seeded trades and beats, and what the bars of them must add up to.

Pure but for `append`. The bytes are those that our own ingest writes (`topics.events.Trade` as JSON), so our fold needs
no special case, and the peers decode the same text.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from stream_processors.ingest import WATERMARK_TOPICS
from topics.catalog import FACT_TRADE, RAW_KALSHI_WS, SCHEMA_HEADER
from topics.codec import encode
from topics.domains import domain_of
from topics.events import Beat, Cause, Trade
from topics.log import Appender, partition_of
from topics.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_S, minute_of

PARTITIONS = 4
SEED = 20260924
START_NS = 29_384_640 * NS_PER_MINUTE  # a whole minute in November 2025
MARKETS_PER_SERIES = 5
SERIES_PER_PARTITION = 5
TRADES_PER_MARKET_MINUTE = 63
MARKETS = PARTITIONS * SERIES_PER_PARTITION * MARKETS_PER_SERIES
STEP_NS = NS_PER_MINUTE // (MARKETS * TRADES_PER_MARKET_MINUTE)
DISORDER_MS_MAX = 5
BEAT_EVERY_NS = 10 * NS_PER_S
LEASE_NS = 30 * NS_PER_S
CONN = "bench-1"


class Checksum(NamedTuple):
    """What the bars of one input must add up to, whoever made them."""

    bars: int
    trades: int
    volume_e4: int
    close_e6: int


class Input(NamedTuple):
    """What was appended. records: of `fact.trade`, trades and beats. expected: of the bars of all trades."""

    trades: int
    records: int
    expected: Checksum


def market_tickers() -> list[str]:
    """100 made-up markets whose join domains fill the partitions evenly."""
    wanted = dict.fromkeys(range(PARTITIONS), SERIES_PER_PARTITION)
    series: list[str] = []
    number = 0
    while any(wanted.values()):
        name = f"KXBENCH{number:03d}"
        number += 1
        partition = partition_of(domain_of(name).encode(), PARTITIONS)
        if wanted[partition]:
            wanted[partition] -= 1
            series.append(name)
    return [f"{name}-26NOV21-T{strike}" for name in series for strike in range(MARKETS_PER_SERIES)]


def trades(count: int) -> Iterator[Trade]:
    """`count` trades, evenly spaced but for up to 5 ms of disorder; ids are UUID texts. The same for every call."""
    rng = random.Random(SEED)
    tickers = market_tickers()
    price_e6 = dict.fromkeys(tickers, 500_000)
    for number in range(count):
        ticker = rng.choice(tickers)
        event_ms = (START_NS + number * STEP_NS) // NS_PER_MS + rng.randrange(DISORDER_MS_MAX)
        price = price_e6[ticker] = min(990_000, max(10_000, price_e6[ticker] + rng.randrange(-2, 3) * 10_000))
        side = "yes" if rng.getrandbits(1) else "no"
        received_ns = event_ms * NS_PER_MS + 20 * NS_PER_MS + rng.randrange(NS_PER_MS)
        seq = number + 1
        yield Trade(
            market_ticker=ticker,
            event_ns=event_ms * NS_PER_MS,
            received_ns=received_ns,
            known_ns=received_ns,
            known_by="observed",
            cause=Cause(RAW_KALSHI_WS, number % PARTITIONS, number // PARTITIONS),
            conn=CONN,
            sid=2,
            seq=seq,
            trade_id=_uuid_text(rng),
            yes_price_e6=price,
            no_price_e6=1_000_000 - price,
            size_e4=rng.randrange(1, 500) * 10_000,
            taker_outcome_side=side,
            taker_book_side="bid" if side == "yes" else "ask",
        )


def append(appender: Appender, count: int) -> Input:
    """Append `count` trades to `fact.trade`, keyed by join domain, with beats there and on `fact.book`."""
    sums = _Sums()
    records = 0
    next_beat_ns = START_NS + BEAT_EVERY_NS
    last_ns = START_NS
    for trade in trades(count):
        appender.append(
            FACT_TRADE, encode(trade), key=domain_of(trade.market_ticker).encode(), headers=SCHEMA_HEADER,
            timestamp_ms=trade.received_ns // NS_PER_MS,
        )  # fmt: skip
        sums.add(trade)
        records += 1
        last_ns = trade.event_ns
        if last_ns >= next_beat_ns:
            records += _beat(appender, next_beat_ns - DISORDER_MS_MAX * NS_PER_MS, bye=False)
            next_beat_ns += BEAT_EVERY_NS
    records += _beat(appender, (minute_of(last_ns) + 2) * NS_PER_MINUTE, bye=True)
    appender.flush(120)
    return Input(count, records, sums.checksum())


def _beat(appender: Appender, clock_ns: int, *, bye: bool) -> int:
    """What ingest passes on: a beat of each raw partition, on every partition of the watermarks' topics."""
    for raw_partition in range(PARTITIONS):
        value = encode(
            Beat(
                source="kalshi.ws",
                conn=CONN,
                raw_partition=raw_partition,
                clock_ns=clock_ns,
                lease_ns=LEASE_NS,
                bye=bye,
            )
        )
        for topic in WATERMARK_TOPICS:
            for number in range(PARTITIONS):
                appender.append(
                    topic, value, partition=number, headers=SCHEMA_HEADER, timestamp_ms=clock_ns // NS_PER_MS
                )
    return PARTITIONS * PARTITIONS


class _Sums:
    """The plainest bars: what anybody's must agree with."""

    def __init__(self) -> None:
        self._close: dict[tuple[str, int], tuple[int, str, int]] = {}
        self._trades = 0
        self._volume_e4 = 0

    def add(self, trade: Trade) -> None:
        """Count one trade. A bar closes with the trade whose (ms, trade id) is the greatest."""
        key = (trade.market_ticker, minute_of(trade.event_ns))
        last = (trade.event_ns // NS_PER_MS, trade.trade_id, trade.yes_price_e6)
        self._close[key] = max(self._close.get(key, last), last)
        self._trades += 1
        self._volume_e4 += trade.size_e4

    def checksum(self) -> Checksum:
        """The sums of all bars."""
        closes = sum(last[2] for last in self._close.values())
        return Checksum(len(self._close), self._trades, self._volume_e4, closes)


def _uuid_text(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
