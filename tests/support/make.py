"""Facts and records for tests, with sensible defaults: a test names only what it is about."""

import itertools
from typing import Any

from topics.catalog import FACT_BOOK, FACT_MARKET, FACT_TRADE, RAW_KALSHI_WS
from topics.events import Beat, BookDelta, BookSnapshot, Cause, Gap, Trade
from topics.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_S

MARKET = "KXHIGHNY-25APR04-B72.5"
T0 = 29_000_000 * NS_PER_MINUTE  # a whole minute
M0 = 29_000_000


def at(minute: int, second: float = 0.0) -> int:
    """Nanoseconds of `minute` minutes and `second` seconds after T0."""
    return T0 + minute * NS_PER_MINUTE + int(second * 1000) * NS_PER_MS


_offsets = itertools.count(1)


def trade(name: str, event_ns: int, price: int = 500_000, size: int = 10_000, **over: Any) -> Trade:
    """A trade at `price` millionths of a dollar."""
    values: dict[str, Any] = {
        "market_ticker": MARKET,
        "event_ns": event_ns,
        "received_ns": event_ns,
        "known_ns": event_ns,
        "known_by": "observed",
        "cause": Cause(RAW_KALSHI_WS, 0, next(_offsets)),
        "conn": "c1",
        "sid": 2,
        "trade_id": name,
        "yes_price_e6": price,
        "no_price_e6": 1_000_000 - price,
        "size_e4": size,
    }
    return Trade(**(values | over))


def snapshot(seq: int, event_ns: int, yes: dict[int, int], no: dict[int, int], **over: Any) -> BookSnapshot:
    """A snapshot with levels in millionths of a dollar and ten-thousandths of a contract."""
    values: dict[str, Any] = _book(seq, event_ns) | {
        "yes": tuple(yes.items()),
        "no": tuple(no.items()),
        "event_by": "received",
    }
    return BookSnapshot(**(values | over))


def delta(seq: int, event_ns: int, side: str, price: int, size: int, **over: Any) -> BookDelta:
    """A delta of `size` at `price`."""
    return BookDelta(**(_book(seq, event_ns) | {"side": side, "price_e6": price, "delta_e4": size} | over))


def gap(from_seq: int | None, to_seq: int | None, event_ns: int, kind: str = "seq_hole", **over: Any) -> Gap:
    """A gap of the book's subscription."""
    values: dict[str, Any] = _book(None, event_ns) | {
        "source": "kalshi.ws",
        "channel": "orderbook_delta",
        "kind": kind,
        "from_seq": from_seq,
        "to_seq": to_seq,
    }
    return Gap(**(values | over))


def _book(seq: int | None, event_ns: int) -> dict[str, Any]:
    return {
        "market_ticker": MARKET,
        "event_ns": event_ns,
        "received_ns": event_ns,
        "known_ns": event_ns,
        "known_by": "observed",
        "cause": Cause(RAW_KALSHI_WS, 0, next(_offsets)),
        "conn": "c1",
        "sid": 1,
        "seq": seq,
    }


def beat(clock_ns: int, *, conn: str = "c1", raw_partition: int = 0, bye: bool = False) -> Beat:
    """A beat with a lease of 30 s."""
    return Beat(
        source="kalshi.ws", conn=conn, raw_partition=raw_partition, clock_ns=clock_ns, lease_ns=30 * NS_PER_S, bye=bye
    )


WATERMARK_TOPICS = (FACT_TRADE, FACT_BOOK, FACT_MARKET)
