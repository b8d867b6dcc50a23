"""The tables of TWS bars, of what was fetched, of outages and of errors."""

from sinks import columns
from sinks.layout_parts import CAUSE, KNOWN, PRICES_OF_BAR, REVISION, TIMES, Layout

_FACT: Layout = (*TIMES, ("conn", "conn", columns.labels), *CAUSE)
_ASKED: Layout = (
    ("symbol", "symbol", columns.labels),
    ("con_id", "con_id", columns.int64),
    ("what_to_show", "what_to_show", columns.labels),
    ("bar_size", "bar_size", columns.labels),
    ("use_rth", "use_rth", columns.flag),
)
_BAR: Layout = (*PRICES_OF_BAR, ("average", "average_e6", columns.price), ("count", "count", columns.int64))
_CONTRACT: Layout = tuple(column for column in _ASKED if column[0] != "bar_size")
_CODE: Layout = (
    ("reason", "reason", columns.labels),
    ("code", "code", columns.int64),
    ("text", "text", columns.text),
)

LAYOUTS: dict[str, Layout] = {
    "raw_tws_bars": (
        *_ASKED,
        ("end_at", "end_ns", columns.time_ns),
        *_BAR,
        ("finished", "finished", columns.flag),
        ("told_by", "told_by", columns.labels),
        ("terms", "terms", columns.json_raw),
        *_FACT,
    ),
    "tws_tellings": (*_CONTRACT, ("minute", "event_ns", columns.time_ns), *_BAR, *KNOWN, *CAUSE),
    "curated_tws_1m_bars": (
        *_CONTRACT,
        ("minute", "minute_ns", columns.time_ns),
        *_BAR,
        ("contents", "contents", columns.uint32),
        *KNOWN,
        *REVISION,
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
