"""The tables of the weather."""

from sinks import columns
from sinks.layout_parts import CAUSE, TIMES, Layout

_FACT: Layout = (("station", "station", columns.labels), *TIMES, ("conn", "conn", columns.labels), *CAUSE)


def _whole(*names: str) -> Layout:
    return tuple((name, name, columns.int64) for name in names)


LAYOUTS: dict[str, Layout] = {
    "forecasts": (
        ("model", "model", columns.labels),
        ("label", "label", columns.labels),
        ("run_at", "run_ns", columns.time_ns),
        ("revision", "revision", columns.text),
        *_whole("n_x_f", "txn_f", "xnd_f", "tmp_f", "dpt_f", "tsd_f", "dsd_f"),
        *_whole("wdr_deg", "wsp_kt", "sky_pct", "p06_pct", "p12_pct"),
        ("extra", "extra", columns.json_raw),
        *_FACT,
    ),
    "forecast_runs": (
        ("model", "model", columns.labels),
        ("run_at", "run_ns", columns.time_ns),
        ("seen", "seen", columns.labels),
        *_whole("valid_times", "conflicts", "expected"),
        ("last_valid_at", "last_valid_ns", columns.time_ns),
        ("absent_at", "absent_ns", columns.time_ns),
        *_whole("status"),
        ("reason", "reason", columns.labels),
        *_FACT,
    ),
    "climate": (
        ("day", "day", columns.day),
        ("product", "product", columns.text),
        ("issued_at", "issued_ns", columns.time_ns),
        ("revision", "revision", columns.text),
        ("report", "report", columns.labels),
        ("correction", "correction", columns.flag),
        ("through_at", "through_ns", columns.time_ns),
        *_whole("high_f", "low_f"),
        ("high_time", "high_time", columns.text),
        ("low_time", "low_time", columns.text),
        *_whole("high_normal_f", "low_normal_f", "high_record_f", "low_record_f"),
        ("precip_in", "precip_e2", columns.hundredths),
        ("snow_in", "snow_e1", columns.tenths),
        *_whole("snow_depth_in"),
        ("missing", "missing", columns.texts),
        ("trace", "trace", columns.texts),
        ("name", "name", columns.text),
        ("extra", "extra", columns.json_raw),
        *_FACT,
    ),
    "climate_years": (
        *_whole("year", "days"),
        ("from_day", "from_day", columns.day),
        ("to_day", "to_day", columns.day),
        ("missing_days", "missing_days", columns.texts),
        *_whole("status"),
        ("reason", "reason", columns.labels),
        *_FACT,
    ),
}
