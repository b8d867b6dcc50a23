"""Data quality: the figures of a dataset over days, and its health on one, as functions over the store."""

from typing import Literal, NamedTuple

from sinks.tables import Tables
from topics.errors import Refused

Dataset = Literal["bars_1m", "raw_tws_bars", "mos_asof", "settlement_labels"]
Status = Literal["GREEN", "YELLOW", "RED"]


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
    """status: the worst of the rules. reasons: the metrics that are not GREEN, or `no_rows`."""

    status: Status
    reasons: tuple[str, ...]
    rows: int
    rules_version: int


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
        "SELECT status, reasons, rows, rules_version FROM tapefold_api.get_dataset_health("
        "dataset_name = {dataset_name:String}, as_of_date = {as_of_date:Date32})",
        {"dataset_name": dataset_name, "as_of_date": as_of_date},
    )
    if not answer.rows:
        raise Refused(f"dataset {dataset_name!r}: no rule knows it; see tapefold_api.data_quality_rules")
    ((status, reasons, rows, version),) = answer.rows
    return Health(status, tuple(reasons), rows, version)
