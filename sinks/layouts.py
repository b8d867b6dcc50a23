"""The tables that are filled from structs: each column, the attribute that fills it, and its maker.

The columns are named as in `clickhouse/migrations/`. A source with many tables keeps them in a module of its own.
"""

from sinks import columns, layouts_asof, layouts_rag, layouts_rest, layouts_tws, layouts_weather, layouts_webhook
from sinks.layout_parts import CAUSE, KNOWN, PRICES_OF_BAR, REVISION, TIMES, Layout

DEAD = "dead"

_SESSION: Layout = (("conn", "conn", columns.labels), ("sid", "sid", columns.int64))
_SEQ: Layout = (("seq", "seq", columns.int64),)
_TICKER: Layout = (("market_ticker", "market_ticker", columns.text),)
_QUOTES: Layout = (("yes_bid", "yes_bid_e6", columns.price), ("yes_ask", "yes_ask_e6", columns.price))
_FACT: Layout = _TICKER + TIMES + _SESSION + _SEQ + CAUSE

LAYOUTS: dict[str, Layout] = {
    **layouts_rest.LAYOUTS,
    **layouts_weather.LAYOUTS,
    **layouts_tws.LAYOUTS,
    **layouts_webhook.LAYOUTS,
    **layouts_rag.LAYOUTS,
    **layouts_asof.LAYOUTS,
    "trades": (
        ("trade_id", "trade_id", columns.text),
        ("yes_price", "yes_price_e6", columns.price),
        ("no_price", "no_price_e6", columns.price),
        ("size", "size_e4", columns.size),
        ("taker_outcome_side", "taker_outcome_side", columns.labels),
        ("taker_book_side", "taker_book_side", columns.labels),
        ("is_block_trade", "is_block_trade", columns.flag),
        ("extra", "extra", columns.json_raw),
        *_FACT,
    ),
    "market_ticks": (
        ("price", "price_e6", columns.price),
        *_QUOTES,
        ("volume", "volume_e4", columns.size),
        ("open_interest", "open_interest_e4", columns.size),
        ("yes_bid_size", "yes_bid_size_e4", columns.size),
        ("yes_ask_size", "yes_ask_size_e4", columns.size),
        ("last_trade_size", "last_trade_size_e4", columns.size),
        ("dollar_volume", "dollar_volume", columns.int64),
        ("dollar_open_interest", "dollar_open_interest", columns.int64),
        ("market_id", "market_id", columns.text),
        ("extra", "extra", columns.json_raw),
        *_FACT,
    ),
    "market_events": (
        ("event_type", "event_type", columns.labels),
        ("open_at", "open_ts", columns.time_s),
        ("close_at", "close_ts", columns.time_s),
        ("determination_at", "determination_ts", columns.time_s),
        ("settled_at", "settled_ts", columns.time_s),
        ("result", "result", columns.labels),
        ("settlement_value", "settlement_value_e6", columns.price),
        ("terms", "terms", columns.json_raw),
        ("extra", "extra", columns.json_raw),
        *_FACT,
    ),
    "coverage": (
        ("source", "source", columns.labels),
        ("channel", "channel", columns.labels),
        ("started_at", "started_ns", columns.time_ns),
        ("ended_at", "ended_ns", columns.time_ns),
        ("ended_by", "ended_by", columns.labels),
        *_FACT,
    ),
    "beats": (
        ("source", "source", columns.labels),
        ("conn", "conn", columns.labels),
        ("raw_partition", "raw_partition", columns.uint32),
        ("clock_at", "clock_ns", columns.time_ns),
        ("lease_ns", "lease_ns", columns.int64),
        ("bye", "bye", columns.flag),
    ),
    "books": (
        *_TICKER,
        *_SESSION,
        *_SEQ,
        ("kind", "kind", columns.labels),
        ("side", "side", columns.labels),
        ("price", "price_e6", columns.price),
        ("delta", "delta_e4", columns.size),
        ("trusted", "trusted", columns.flag),
        *_QUOTES,
        ("yes_bid_size", "yes_bid_size_e4", columns.size),
        ("yes_ask_size", "yes_ask_size_e4", columns.size),
        ("row_id", "row_id", columns.text),
        ("event_by", "event_by", columns.labels),
        *TIMES,
        *CAUSE,
    ),
    "bars_1m": (
        *_TICKER,
        ("minute", "minute_ns", columns.time_ns),
        *PRICES_OF_BAR,
        ("trades", "trades", columns.uint32),
        *_QUOTES,
        ("closed", "closed", columns.flag),
        *KNOWN,
        *REVISION,
    ),
    "gaps": (
        *_TICKER,
        ("kind", "kind", columns.labels),
        ("source", "source", columns.labels),
        ("channel", "channel", columns.labels),
        *_SESSION,
        ("from_seq", "from_seq", columns.int64),
        ("to_seq", "to_seq", columns.int64),
        ("noticed_at", "noticed_ns", columns.time_ns),
        ("repaired_at", "repaired_ns", columns.time_ns),
        ("row_id", "row_id", columns.text),
        ("rev", "rev", columns.uint64),
        *CAUSE,
    ),
    DEAD: (
        ("reason", "reason", columns.labels),
        ("detail", "detail", columns.text),
        ("stage", "stage", columns.labels),
        ("code_version", "code_version", columns.labels),
        ("received_at", "received_ns", columns.time_ns),
        ("value_text", "value_text", columns.text),
        *CAUSE,
    ),
}
