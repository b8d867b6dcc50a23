"""The standing audits of as-of forecasts and labels: silent on what the fold makes, and each leak has its name."""

from pathlib import Path

import pytest
from stored import empty, insert
from weather import WeatherFold, climate, forecast, forecast_beat, ns, policy

from sinks.migrate import migrate
from sinks.tables import Tables
from tapefold import standing, stations
from topics.catalog import FACT_CLIMATE, FACT_FORECAST, FACT_POLICY
from topics.codec import encode
from topics.log import Record

SQL_DIR = Path(__file__).parents[2] / "clickhouse"
FACTS = {
    FACT_POLICY: [policy()],
    FACT_FORECAST: [
        forecast("2026-04-10 12:00", "2026-04-12 00:00", 85, "2026-04-10 16:30", offset=1),
        forecast("2026-04-10 12:00", "2026-04-11 12:00", 65, "2026-04-10 16:30", offset=2),
        forecast("2026-04-08 12:00", "2026-04-13 00:00", 80, "2026-04-08 16:30", offset=3),
        forecast_beat(ns("2026-04-20 00:00")),
    ],
    FACT_CLIMATE: [
        climate("2024-11-27 21:25", 81, report="preliminary"),
        climate("2024-11-28 09:32", 84, report="final"),
        climate("2024-11-28 13:56", 81, report="final"),
    ],
}
ANSWER, LABEL = "asof:KMIA:2026-04-11:GFS:test@1", "label:KMIA:2024-11-27:KXHIGHMIA"
ASOF_LEAKS = {
    "asof_known_too_late": "asof_utc + INTERVAL 1 SECOND AS known_at",
    "asof_run_too_late": "asof_utc + INTERVAL 1 HOUR AS chosen_run_utc",
    "asof_known_before_its_run": "chosen_run_utc - INTERVAL 1 SECOND AS known_at",
    "asof_too_stale": "asof_utc - INTERVAL 3 DAY AS chosen_run_utc",
    "asof_unsafe": "true AS unsafe",
    "asof_reason_missing": "'no_run' AS missing_reason",
    "asof_known_before_its_inputs": "known_at - INTERVAL 1 HOUR AS known_at",
    "asof_value_revised": "tmax_f + 1 AS tmax_f",
    "asof_without_facts": "arrayMap(input -> (input.1, input.2, input.3 + 1000, input.4), inputs) AS inputs",
}
LABEL_LEAKS = {
    "label_known_before_the_check": "check_utc - INTERVAL 1 HOUR AS known_at",
    "label_known_before_the_outcome": "'venue' AS check_by, known_at + INTERVAL 1 HOUR AS venue_known_at",
    "label_before_the_day_was_over": "toDateTime64('2024-11-28 04:59:00', 9, 'UTC') AS check_utc",
    "label_without_report": "'another' AS product",
    "label_issued_after_the_check": "reports[3].product AS product, reports[3].value_f AS label_f",
    "label_known_before_its_report": "arrayMap(told -> (told.1, told.2 + INTERVAL 1 DAY, told.3, told.4, told.5, told.6,"
    " told.7, told.8, told.9, told.10), reports) AS reports",
    "label_of_a_preliminary_report": "reports[1].product AS product, reports[1].value_f AS label_f",
    "label_value_revised": "81 AS label_f",
}


@pytest.fixture
def tables(store_url):
    """A store with the facts and what the fold makes of them."""
    opened = Tables(store_url)
    migrate(opened, SQL_DIR / "migrations", lambda: 0)
    empty(opened)
    stations.publish(opened)
    fold = WeatherFold()
    for topic, facts in FACTS.items():
        fold.feed(topic, *facts)
        insert(opened, [Record(topic, 0, offset, 0, None, (), encode(fact)) for offset, fact in enumerate(facts)])
    insert(opened, [Record(out.topic, 0, offset, 0, None, (), out.value) for offset, out in enumerate(fold.outputs)])
    yield opened
    empty(opened)
    opened.close()


def found(tables):
    """Kinds by row, of the rows that this file is about."""
    told = [each for name in ("leakage", "completeness") for each in standing.findings(tables, SQL_DIR, name)]
    return {(each.row_id, each.kind) for each in told if each.row_id.startswith(("asof:", "label:"))}


def test_what_the_fold_makes_has_no_findings(tables):
    """Chosen, missing and revised rows alike."""
    assert set() == found(tables)


@pytest.mark.parametrize(
    ("kind", "table", "row_id", "change"),
    [(kind, "mos_asof", ANSWER, change) for kind, change in ASOF_LEAKS.items()]
    + [(kind, "settlement_labels", LABEL, change) for kind, change in LABEL_LEAKS.items()],
)
def test_each_leak_is_found_under_its_name(tables, kind, table, row_id, change):
    """The changed row is named with the kind of its leak, and no other row is named."""
    tables.command(
        f"INSERT INTO tapefold.{table} SELECT * REPLACE ({change}, rev + 1 AS rev) FROM tapefold.{table} FINAL"
        f" WHERE row_id = '{row_id}'"
    )
    told = found(tables)
    assert (row_id, kind) in told
    assert {row_id} == {named for named, _ in told}
