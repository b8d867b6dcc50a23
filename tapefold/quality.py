"""Data quality: the figures of a dataset over days, its health on one, and features fit to train on and to ask with, as functions."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from sinks.tables import Tables
from topics.errors import Refused

Status = Literal["GREEN", "YELLOW", "RED"]
# feature set -> the views for each use, their parameter for keys, the column of the key
_FEATURES: dict[str, tuple[str, str, str]] = {
    "features_price_1m_v1": ("get_features", "symbols", "symbol"),
    "features_weather": ("get_weather_features", "series_tickers", "market_ticker"),
}


class Figures(NamedTuple):
    """Figures of one key of a dataset. nulls: rows without what they are for; the percentages are of the rows."""

    dataset: str
    key: str
    rows: int
    nulls: int
    gaps: int
    outliers: int
    late: int
    null_percent: float
    gap_percent: float
    outlier_percent: float


class Health(NamedTuple):
    """status: the worst of the rules. reasons: the metrics that are not GREEN, `no_rows`, or `told_empty`: TWS has none.

    accepted: somebody decided that it is as it must be; the status stays what it is. annotations: all decisions that hold.
    """

    status: Status
    reasons: tuple[str, ...]
    rows: int
    rules_version: int
    accepted: bool
    annotations: tuple[str, ...]


def get_data_quality_summary(tables: Tables, dataset_name: str, start_date: str, end_date: str) -> list[Figures]:
    """Figures per key of the days from start to end (ISO, both included). Raises StatementRefused for a wrong date."""
    answer = tables.query_rows(
        "SELECT dataset, key, rows, nulls, gaps, outliers, late, null_percent, gap_percent, outlier_percent"
        " FROM tapefold_api.get_data_quality_summary("
        "dataset_name = {dataset_name:String}, start_date = {start_date:Date32}, end_date = {end_date:Date32}) ORDER BY key",
        {"dataset_name": dataset_name, "start_date": start_date, "end_date": end_date},
    )
    return [Figures(*row) for row in answer.rows]


def get_dataset_health(tables: Tables, dataset_name: str, as_of_date: str) -> Health:
    """Health of a dataset on a day (ISO). Raises Refused for a dataset that no rule knows."""
    answer = tables.query_rows(
        "SELECT status, reasons, rows, rules_version, accepted, annotations FROM tapefold_api.get_dataset_health("
        "dataset_name = {dataset_name:String}, as_of_date = {as_of_date:Date32})",
        {"dataset_name": dataset_name, "as_of_date": as_of_date},
    )
    if not answer.rows:
        raise Refused(f"dataset {dataset_name!r}: no rule knows it; see tapefold_api.data_quality_rules")
    ((status, reasons, rows, version, accepted, annotations),) = answer.rows
    return Health(status, tuple(reasons), rows, version, bool(accepted), tuple(annotations))


def get_features_for_training(tables: Tables, feature_set: str, keys: Sequence[str], start: str, end: str) -> pa.Table:
    """Features of the minutes [start, end) (ISO, UTC) as an Arrow table, in the order of keys and minutes.

    keys: symbols of features_price_1m_v1, series tickers of features_weather; none: all. What the ledger calls unusable
    is left out; the column `annotations` has what else it says. Raises Refused for another feature set.
    """
    return _features(tables, "training", feature_set, {"keys": list(keys), "start": start, "end_at": end})


def get_features_for_inference(  # noqa: PLR0917  # as its fellow, and the time of knowledge
    tables: Tables, feature_set: str, keys: Sequence[str], start: str, end: str, asof: str
) -> pa.Table:
    """The same as they were known at `asof` (ISO, UTC): of facts and decisions known by then, never of later ones.

    A row that was not known yet, and one that was unusable then, is not there. Raises Refused for another feature set.
    """
    asked = {"keys": list(keys), "start": start, "end_at": end, "asof": asof}
    return _features(tables, "inference", feature_set, asked)


def _features(tables: Tables, use: str, feature_set: str, asked: dict[str, Any]) -> pa.Table:
    if feature_set not in _FEATURES:
        raise Refused(
            f"feature set {feature_set!r}: expected one of {', '.join(_FEATURES)}; see tapefold_api.feature_registry"
        )
    view, keyed_by, order = _FEATURES[feature_set]
    times = ", ".join(f"{name} = {{{name}:DateTime64(9, 'UTC')}}" for name in asked if name != "keys")
    return tables.query_arrow(
        f"SELECT * FROM tapefold_api.{view}_for_{use}({keyed_by} = {{keys:Array(String)}}, {times})"  # noqa: S608  # names of our own
        f" ORDER BY {order}, minute, row_id",
        asked,
    )
