"""The tables of predictions: each column, the attribute that fills it, and its maker."""

from sinks import columns
from sinks.layout_parts import CAUSE, TIMES, Layout

_RUN: Layout = (
    ("run_id", "run_id", columns.text),
    ("model_version", "model_version", columns.labels),
    ("features", "features", columns.labels),
    ("extra", "extra", columns.json_raw),
    ("conn", "conn", columns.labels),
    *TIMES,
    *CAUSE,
)
LAYOUTS: dict[str, Layout] = {
    "prediction_runs": (
        ("series_ticker", "series_ticker", columns.labels),
        ("asked", "asked", columns.texts),
        ("predicted", "predicted", columns.uint32),
        *_RUN,
    ),
    "market_predictions": (
        ("market_ticker", "market_ticker", columns.text),
        ("probability_yes", "probability_yes", columns.share),
        *_RUN,
    ),
}
