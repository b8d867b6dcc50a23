"""Kalshi's REST answers for tests of the parser: recorded ones (see `tests/data/README.md`), and the newer shapes made up."""

import json
from pathlib import Path

from stream_processors.envelope import Envelope
from stream_processors.parsers.kalshi_rest import parse
from tapefold.payloads import kalshi_rest
from topics.catalog import H_URL
from topics.events import Cause

DATA = Path(__file__).resolve().parents[1] / "data" / "kalshi-rest"
RECEIVED_NS = 1_790_000_000_123_456_789
FETCHED = Envelope("run-1", RECEIVED_NS, "observed")
LOADED = Envelope("file-1", RECEIVED_NS, "assumed", stamped=False)
API = "/trade-api/v2"
CAUSE = Cause("raw.kalshi.rest", 3, 1_234)

# Made up after OpenAPI 3.34: the fields of September 2026, with the rules of that month.
MARKET = {
    "ticker": "KXHIGHNY-26SEP15-T77", "event_ticker": "KXHIGHNY-26SEP15", "market_type": "binary",
    "title": "Will the **high temp in NYC** be >77° on Sep 15, 2026?", "yes_sub_title": "78° or above",
    "no_sub_title": "78° or above", "created_time": "2026-09-14T09:34:11.123456Z",
    "updated_time": "2026-09-14T09:34:11.2Z", "open_time": "2026-09-14T14:00:00Z",
    "close_time": "2026-09-16T05:00:00Z", "latest_expiration_time": "2026-09-22T14:00:00Z",
    "settlement_timer_seconds": 3600, "status": "active", "yes_bid_dollars": "0.4000", "yes_ask_dollars": "0.4200",
    "no_bid_dollars": "0.5800", "no_ask_dollars": "0.6000", "last_price_dollars": "0.410000",
    "yes_bid_size_fp": "12.50", "yes_ask_size_fp": "7.00", "volume_fp": "1200.25", "volume_24h_fp": "1.00",
    "open_interest_fp": "900.00", "result": "", "can_close_early": True, "expiration_value": "",
    "strike_type": "greater", "floor_strike": 77, "price_level_structure": "linear_cent",
    "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}], "exchange_index": 0,
    "rules_primary": "If the maximum temperature recorded at New York City (CLINYC) for Sep 15, 2026, is greater than "
    "77° fahrenheit according to The Weather Company, then the market resolves to Yes.", "rules_secondary": "",
}  # fmt: skip
TRADE = {
    "trade_id": "8e1f0f3e-0001", "ticker": "KXHIGHNY-26SEP15-T77", "count_fp": "136.25",
    "yes_price_dollars": "0.3600", "no_price_dollars": "0.6400", "taker_outcome_side": "no", "taker_side": "no",
    "taker_book_side": "ask", "created_time": "2026-09-14T15:00:00.417999Z", "is_block_trade": False,
}  # fmt: skip
CANDLE = {
    "end_period_ts": 1_789_400_000, "volume_fp": "10.00", "open_interest_fp": "20.00",
    "price": {"open_dollars": "0.1000", "high_dollars": "0.3000", "low_dollars": "0.1000", "close_dollars": "0.2000",
              "mean_dollars": "0.1800", "previous_dollars": None, "min_dollars": None, "max_dollars": None},
    "yes_bid": {"open_dollars": "0.0900", "high_dollars": "0.2900", "low_dollars": "0.0800", "close_dollars": "0.1900"},
    "yes_ask": {"open_dollars": "0.1100", "high_dollars": "0.3100", "low_dollars": "0.1100", "close_dollars": "0.2100"},
}  # fmt: skip
HISTORICAL_CANDLE = {
    "end_period_ts": 1_789_400_000, "volume": "10.00", "open_interest": "20.00",
    **{side: {name.removesuffix("_dollars"): value for name, value in CANDLE[side].items()}
       for side in ("price", "yes_bid", "yes_ask")},
}  # fmt: skip
BOOK = {
    "orderbook_fp": {"yes_dollars": [["0.0800", "300.00"], ["0.2200", "333.33"]], "no_dollars": [["0.54", "20.00"]]}
}
CUTOFF = {"market_settled_ts": "2026-06-20T00:00:00Z", "trades_created_ts": "2026-06-20T00:00:00Z"}
MADE = (
    (f"{API}/markets?series_ticker=KXHIGHNY", {"markets": [MARKET, MARKET | {"ticker": "A-1"}], "cursor": "x"}),
    (f"{API}/markets/KXHIGHNY-26SEP15-T77", {"market": MARKET}),
    (f"{API}/historical/trades?ticker=A", {"trades": [TRADE], "cursor": ""}),
    (f"{API}/series/KXHIGHNY/markets/A-1/candlesticks?period_interval=1", {"ticker": "A-1", "candlesticks": [CANDLE]}),
    (f"{API}/historical/markets/A-1/candlesticks?period_interval=60", {"candlesticks": [HISTORICAL_CANDLE]}),
    (f"{API}/markets/A-1/orderbook?depth=0", BOOK),
    (f"{API}/historical/cutoff", CUTOFF),
)


def recorded(*paths):
    """(url, body) of all recorded answers of the files."""
    for path in paths:
        for payload in kalshi_rest.payloads(path):
            yield dict(payload.headers)[H_URL].decode(), payload.value


def shipped():
    """(url, body) of all recorded answers that ship with the tests."""
    return recorded(*sorted(path for path in DATA.rglob("*.json*") if path.is_file()))


def facts_of(url, body, envelope=FETCHED, status=200):
    """What the parser makes of an answer; refusals among it as (cause, error)."""
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(parse(value, url, status, envelope, CAUSE))
