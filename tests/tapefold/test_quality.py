"""Data quality: figures of a day, and a health that is as good as the worst of them."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from stored import empty, insert
from weather import WeatherFold, climate, forecast, forecast_beat, ns, policy

from sinks.migrate import migrate
from sinks.tables import Tables
from tapefold import quality
from topics.catalog import FACT_BAR, FACT_CLIMATE, FACT_FORECAST, FACT_POLICY
from topics.codec import decode_fact, encode
from topics.errors import Refused
from topics.log import Record
from topics.tws import TwsUnit

SQL_DIR = Path(__file__).parents[2] / "clickhouse"


@pytest.fixture
def tables(store_url):
    """A store with three climate days of one station: two answered, one missing; one label."""
    opened = Tables(store_url)
    migrate(opened, SQL_DIR / "migrations", lambda: 0)
    empty(opened)
    fold = WeatherFold().feed(FACT_POLICY, policy())
    fold.feed(
        FACT_FORECAST,
        forecast("2026-04-10 12:00", "2026-04-12 00:00", 85, "2026-04-10 16:30"),
        forecast("2026-04-12 12:00", "2026-04-14 00:00", 80, "2026-04-12 16:30"),
        forecast_beat(ns("2026-04-20 00:00")),
    )
    fold.feed(FACT_CLIMATE, climate("2026-04-12 09:30", 84, day="2026-04-11", report="final"))
    insert(opened, [Record(out.topic, 0, offset, 0, None, (), out.value) for offset, out in enumerate(fold.outputs)])
    yield opened
    empty(opened)
    opened.close()


def test_a_summary_counts_the_days_between(tables):
    """Both ends are included; days outside are not."""
    (whole,) = quality.get_data_quality_summary(tables, "mos_asof", "2026-04-11", "2026-04-13")
    assert ("KMIA", 3, 1, 1, 0, 33.333) == (
        whole.key, whole.rows, whole.nulls, whole.gaps, whole.outliers, whole.null_percent,
    )  # fmt: skip
    assert [1] == [
        each.rows for each in quality.get_data_quality_summary(tables, "mos_asof", "2026-04-12", "2026-04-12")
    ]
    assert [] == quality.get_data_quality_summary(tables, "mos_asof", "2027-01-01", "2027-01-02")


@pytest.mark.parametrize(
    ("dataset", "day", "status", "reasons"),
    [
        ("mos_asof", "2026-04-11", "GREEN", ()),
        ("mos_asof", "2026-04-12", "RED", ("gap_percent", "null_percent")),
        ("settlement_labels", "2026-04-11", "GREEN", ()),
        ("bars_1m", "2026-04-11", "RED", ("no_rows",)),
    ],
)
def test_health_is_that_of_the_worst_figure(tables, dataset, day, status, reasons):
    """By the rules of the latest version; a day without rows is not healthy."""
    health = quality.get_dataset_health(tables, dataset, day)
    assert (status, reasons, 1) == (health.status, tuple(sorted(health.reasons)), health.rules_version)


def test_a_dataset_that_no_rule_knows_is_refused(tables):
    """A wrong name must not look healthy, nor sick."""
    with pytest.raises(Refused, match="data_quality_rules"):
        quality.get_dataset_health(tables, "rumours", "2026-04-11")


def test_a_day_on_which_tws_has_nothing_is_no_fault(tables):
    """TWS itself said so for every unit of the day, at the last try; until then the day is RED."""
    lines = (SQL_DIR.parent / "topics" / "examples" / f"{FACT_BAR}.jsonl").read_bytes().splitlines()
    unit = next(fact for fact in map(decode_fact, lines) if isinstance(fact, TwsUnit))
    failed = replace(unit, date="2026-07-03", status="failed", bars=0, received_ns=unit.received_ns - 1)
    tries = [failed, replace(failed, status="complete", reason="no_data", received_ns=unit.received_ns)]
    for number, (told, expected) in enumerate(zip(tries, ("RED", "GREEN"), strict=True)):
        insert(tables, [Record(FACT_BAR, 0, number, 0, None, (), encode(told))])
        assert expected == quality.get_dataset_health(tables, "curated_tws_1m_bars", "2026-07-03").status
