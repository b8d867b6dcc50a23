"""Kalshi frames for tests of the parser: recorded ones (see `tests/data/README.md`), and made-up ones of every type."""

import json
from pathlib import Path

import pytest

from stream_processors.envelope import Envelope
from stream_processors.parsers.kalshi import parse
from topics.errors import BadRecord
from topics.events import Cause

DATA = Path(__file__).resolve().parents[1] / "data" / "kalshi-ws"
RECEIVED_NS = 1_790_000_000_123_456_789
ENVELOPE = Envelope("conn-1", RECEIVED_NS, "observed")
CAUSE = Cause("raw.kalshi.ws", 3, 1_234)
S = 10**9
MS = 10**6

# Made up after the vendor's AsyncAPI "Market Data WebSocket API" 2.0.0: one frame of each type that states a fact.
TRADE = {
    "type": "trade",
    "sid": 11,
    "seq": 2,
    "msg": {
        "trade_id": "8e1f0f3e-0001",
        "market_ticker": "KXHIGHMIA-26APR11-B83.5",
        "yes_price_dollars": "0.3600",
        "no_price_dollars": "0.6400",
        "count_fp": "136.25",
        "taker_side": "no",
        "taker_outcome_side": "no",
        "taker_book_side": "ask",
        "is_block_trade": False,
        "ts": 1_776_000_000,
        "ts_ms": 1_776_000_000_417,
    },
}
TICKER = {
    "type": "ticker",
    "sid": 12,
    "msg": {
        "market_id": "0f3e-0002",
        "market_ticker": "KXHIGHMIA-26APR11-B83.5",
        "price_dollars": "0.4800",
        "yes_bid_dollars": "0.4500",
        "yes_ask_dollars": "0.5300",
        "volume_fp": "33896.00",
        "open_interest_fp": "20422.50",
        "dollar_volume": 16948,
        "dollar_open_interest": -1,
        "yes_bid_size_fp": "300.00",
        "yes_ask_size_fp": "150.00",
        "last_trade_size_fp": "0.09",
        "ts": 1_776_000_000,
        "ts_ms": 1_776_000_000_001,
        "time": "2026-04-12T13:20:00Z",
    },
}
SNAPSHOT = {
    "type": "orderbook_snapshot",
    "sid": 13,
    "seq": 1,
    "msg": {
        "market_ticker": "KXHIGHMIA-26APR11-B83.5",
        "market_id": "0f3e-0002",
        "yes_dollars_fp": [["0.0800", "300.00"], ["0.2200", "333.33"]],
        "no_dollars_fp": [["0.5400", "20.00"]],
    },
}
DELTA = {
    "type": "orderbook_delta",
    "sid": 13,
    "seq": 2,
    "msg": {
        "market_ticker": "KXHIGHMIA-26APR11-B83.5",
        "market_id": "0f3e-0002",
        "price_dollars": "0.9600",
        "delta_fp": "-54.00",
        "side": "yes",
        "ts": "2026-04-12T13:20:00.123456Z",
        "ts_ms": 1_776_000_000_123,
    },
}
CREATED = {
    "type": "market_lifecycle_v2",
    "sid": 14,
    "seq": 3,
    "msg": {
        "market_ticker": "KXHIGHMIA-26APR11-B83.5",
        "exchange_index": 0,
        "open_ts": 1_775_900_000,
        "close_ts": 1_776_050_000,
        "additional_metadata": {"name": "83 to 84", "floor_strike": 83, "cap_strike": 84.0, "custom_strike": None},
        "event_type": "created",
        "price_level_structure": "linear_cent",
    },
}
SETTLED = {
    "type": "market_lifecycle_v2",
    "sid": 14,
    "seq": 4,
    "msg": {
        "market_ticker": "KXHIGHMIA-26APR11-B83.5",
        "determination_ts": 1_776_060_000,
        "settled_ts": 1_776_063_600,
        "result": "yes",
        "settlement_value": "1.0000",
        "event_type": "determined",
    },
}
EVENT = {
    "type": "event_lifecycle",
    "sid": 14,
    "seq": 5,
    "msg": {"event_ticker": "KXHIGHMIA-26APR11", "title": "Höchste Temperatur", "series_ticker": "KXHIGHMIA"},
}
FEE = {
    "type": "event_fee_update",
    "sid": 14,
    "seq": 6,
    "msg": {"event_ticker": "KXHIGHMIA-26APR11", "fee_type_override": None, "fee_multiplier_override": 0.5},
}
REPLIES = (
    {"type": "subscribed", "id": 1, "msg": {"channel": "trade", "sid": 1}},
    {"type": "unsubscribed", "id": 102, "sid": 2, "seq": 7},
    {"type": "ok", "id": 3, "msg": [{"channel": "trade", "sid": 1}]},
    {"type": "error", "id": 3, "msg": {"code": 8, "msg": "Unknown channel name"}},
    {"type": "error", "sid": 3, "seq": 9, "msg": {"code": 25, "msg": "Subscription buffer overflow"}},
)
FACT_FRAMES = (TRADE, TICKER, SNAPSHOT, DELTA, CREATED, SETTLED, EVENT, FEE)


def ssmd(name):
    """The recorded frames of February 2026, `trade` or `ticker`: integer cents beside strings, times in seconds."""
    return [json.loads(line) for line in (DATA / f"ssmd-{name}.jsonl").read_text().splitlines()]


def fact_of(frame, envelope=ENVELOPE):
    """What the parser makes of a frame or of bytes."""
    value = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
    return parse(value, envelope, CAUSE)


def with_msg(frame, **over):
    """The frame with fields of its message replaced; a field set to ... is taken out."""
    msg = {name: value for name, value in (frame["msg"] | over).items() if value is not ...}
    return frame | {"msg": msg}


def refusal(frame):
    """The reason for which the parser refuses a frame or bytes."""
    with pytest.raises(BadRecord) as caught:
        fact_of(frame)
    return caught.value.reason
