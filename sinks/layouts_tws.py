"""The tables of TWS bars, of what was fetched, of outages and of errors."""

from sinks import columns
from sinks.layout_parts import CAUSE, TIMES, Layout

_FACT: Layout = (*TIMES, ("conn", "conn", columns.labels), *CAUSE)
_ASKED: Layout = (
    ("symbol", "symbol", columns.labels),
    ("con_id", "con_id", columns.int64),
    ("what_to_show", "what_to_show", columns.labels),
    ("bar_size", "bar_size", columns.labels),
    ("use_rth", "use_rth", columns.flag),
)
_CODE: Layout = (
    ("reason", "reason", columns.labels),
    ("code", "code", columns.int64),
    ("text", "text", columns.text),
)

LAYOUTS: dict[str, Layout] = {
    "raw_tws_bars": (
        *_ASKED,
        ("end_at", "end_ns", columns.time_ns),
        ("open", "open_e6", columns.price),
        ("high", "high_e6", columns.price),
        ("low", "low_e6", columns.price),
        ("close", "close_e6", columns.price),
        ("volume", "volume_e4", columns.size),
        ("average", "average_e6", columns.price),
        ("count", "count", columns.int64),
        ("finished", "finished", columns.flag),
        ("told_by", "told_by", columns.labels),
        ("terms", "terms", columns.json_raw),
        *_FACT,
    ),
    "curated_tws_1m_bars": (
        ("symbol", "symbol", columns.labels),
        ("con_id", "con_id", columns.int64),
        ("what_to_show", "what_to_show", columns.labels),
        ("use_rth", "use_rth", columns.flag),
        ("minute", "minute_ns", columns.time_ns),
        ("open", "open_e6", columns.price),
        ("high", "high_e6", columns.price),
        ("low", "low_e6", columns.price),
        ("close", "close_e6", columns.price),
        ("volume", "volume_e4", columns.size),
        ("average", "average_e6", columns.price),
        ("count", "count", columns.int64),
        ("contents", "contents", columns.uint32),
        ("known_at", "known_ns", columns.time_ns),
        ("known_by", "known_by", columns.labels),
        ("rev", "rev", columns.uint64),
        ("row_id", "row_id", columns.text),
        *CAUSE,
    ),
    "tws_units": (
        *_ASKED,
        ("date", "date", columns.text),
        ("to_at", "to_ns", columns.time_ns),
        ("status", "status", columns.labels),
        ("bars", "bars", columns.int64),
        ("attempts", "attempts", columns.int64),
        *_CODE,
        *_FACT,
    ),
    "tws_outages": (
        ("outage_id", "outage_id", columns.text),
        ("ended_at", "ended_ns", columns.time_ns),
        ("data_lost", "data_lost", columns.flag),
        ("symbols", "symbols", columns.texts),
        *_CODE,
        *_FACT,
    ),
    "tws_errors": (
        ("symbol", "symbol", columns.labels),
        ("req_id", "req_id", columns.int64),
        *_CODE,
        *_FACT,
    ),
}
