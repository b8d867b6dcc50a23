"""The raw records of one station that make its as-of rows and labels of a climate day, as the store has them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from sinks.tables import Tables
from stream_processors import explain_weather
from stream_processors.explain import Explanation
from stream_processors.explain_weather import StationTellings
from tapefold.records import raw_records
from topics.catalog import RAW_IEM_MOS
from topics.log import Record, TopicPartition
from topics.policies import Policy

# The forecasts of the day; the nearest ones before and after, for days between two that have forecasts have rows; and the
# answer about the station that came last, for a tape comes as far as its answers.
_ASOF = """
SELECT cause_topic, cause_partition, cause_offset FROM tapefold.forecasts
WHERE station = {station:String} AND toDate(event_at) BETWEEN toDate({day:String}) - 1 AND toDate({day:String}) + 2
UNION DISTINCT
SELECT cause_topic, cause_partition, cause_offset FROM (
    SELECT cause_topic, cause_partition, cause_offset FROM tapefold.forecasts
    WHERE station = {station:String} AND toDate(event_at) < toDate({day:String}) - 1
        AND toHour(event_at) IN (0, 12) AND event_at > run_at
    ORDER BY event_at DESC LIMIT 1
)
UNION DISTINCT
SELECT cause_topic, cause_partition, cause_offset FROM (
    SELECT cause_topic, cause_partition, cause_offset FROM tapefold.forecasts
    WHERE station = {station:String} AND toDate(event_at) > toDate({day:String}) + 2
        AND toHour(event_at) IN (0, 12) AND event_at > run_at
    ORDER BY event_at LIMIT 1
)
UNION DISTINCT
SELECT cause_topic, cause_partition, cause_offset FROM (
    SELECT cause_topic, cause_partition, cause_offset FROM tapefold.forecast_runs
    WHERE station = {station:String} ORDER BY received_at DESC LIMIT 1
)
"""
_LABEL = """
SELECT cause_topic, cause_partition, cause_offset FROM tapefold.climate
WHERE station = {station:String} AND day = toDate32({day:String})
UNION DISTINCT
SELECT cause_topic, cause_partition, cause_offset FROM tapefold.settlements
WHERE station = {station:String} AND climate_day = {day:String}
"""
_PLACES = {"mos_asof": _ASOF, "settlement_labels": _LABEL}
_POLICIES = """
SELECT policy_id, version, at, models, max_staleness_s, knowledge, calendar, needs, lags_s, quantile, description
FROM tapefold.asof_policies FINAL ORDER BY policy_id, version
"""


def of_station(tables: Tables, table: str, row: dict[str, Any], partitions: int) -> Callable[[str], Explanation]:
    """What explains the rows of the row's station and day."""
    told = policies(tables) if table == "mos_asof" else []
    tellings = StationTellings(row["station"], partitions, records_of(tables, table, row), told)
    return partial(explain_weather.explain, tellings)


def records_of(tables: Tables, table: str, row: dict[str, Any]) -> dict[TopicPartition, list[Record]]:
    """The raw records that the row depends on, and the last beats."""
    asked = {"station": row["station"], "day": row["target_date_local"]}
    return raw_records(tables, _PLACES[table], asked, beats_of=RAW_IEM_MOS)


def policies(tables: Tables) -> list[Policy]:
    """All policies that the store knows, as they stood on the log."""
    answer = tables.query_rows(_POLICIES)
    return [msgspec.convert(dict(zip(answer.columns, row, strict=True)), Policy) for row in answer.rows]
