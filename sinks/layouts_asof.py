"""The tables of what the fold derives of the weather, and of the policies that ask for it."""

from sinks import columns
from sinks.layout_parts import Layout

LAYOUTS: dict[str, Layout] = {
    "asof_policies": (
        ("policy_id", "policy_id", columns.labels),
        ("version", "version", columns.uint32),
        ("at", "at", columns.text),
        ("day_offset", "day_offset", columns.int64),
        ("minute_of_day", "minute_of_day", columns.uint32),
        ("standard_time", "standard_time", columns.flag),
        ("calendar", "calendar", columns.labels),
        ("models", "models", columns.texts),
        ("max_staleness_s", "max_staleness_s", columns.int64),
        ("needs", "needs", columns.labels),
        ("knowledge", "knowledge", columns.labels),
        ("lags_s", "lags_s", columns.whole_by_name),
        ("quantile", "quantile", columns.share),
        ("unsafe", "unsafe", columns.flag),
        ("description", "description", columns.text),
    ),
    "mos_asof": (
        ("station", "station", columns.labels),
        ("target_date_local", "target_date_local", columns.day),
        ("model", "model", columns.labels),
        ("policy_id", "policy_id", columns.labels),
        ("policy_version", "policy_version", columns.uint32),
        ("series_tickers", "series_tickers", columns.texts),
        ("asof_utc", "asof_ns", columns.time_ns),
        ("chosen_run_utc", "chosen_run_ns", columns.time_ns),
        ("known_at", "known_ns", columns.time_ns),
        ("known_by", "known_by", columns.labels),
        ("tmax_f", "tmax_f", columns.int64),
        ("tmin_f", "tmin_f", columns.int64),
        ("lead_hours", "lead_hours", columns.int64),
        ("missing_reason", "missing_reason", columns.labels),
        ("unsafe", "unsafe", columns.flag),
        ("inputs", "inputs", columns.places),
        ("rev", "rev", columns.uint64),
        ("row_id", "row_id", columns.text),
    ),
}
