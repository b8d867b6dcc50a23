"""Explain for as-of rows and labels: what they are made of, what came too late, and the same rows again."""

import random
from pathlib import Path

import pytest
from left_out import checked
from recorded_weather import PARTITIONS, recorded
from stored import empty, insert

from sinks.migrate import migrate
from sinks.tables import Tables
from stream_processors.replay import Part
from tapefold import stations
from tapefold.explain import Explainer, as_json, as_text
from tapefold.explain_weather import policies
from topics.catalog import FACT_POLICY
from topics.codec import encode
from topics.log import Record
from topics.policies import SHIPPED

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"


def fill(tables, raw):
    """Fold the records and insert bronze, facts and rows."""
    part = Part(range(PARTITIONS), PARTITIONS)
    outputs = []
    for number in range(PARTITIONS):
        told = [encode(policy) for policy in SHIPPED]
        outputs += part.facts(FACT_POLICY, number, range(len(told)), told)
        outputs += [Record(FACT_POLICY, number, place, 0, None, (), value) for place, value in enumerate(told)]
    for (topic, number), batch in raw.items():
        outputs += part.raw(topic, number, batch)
    insert(tables, [record for batch in raw.values() for record in batch] + outputs)


def opened(store_url, folder, days):
    """A migrated store that holds so many days."""
    tables = Tables(store_url)
    migrate(tables, MIGRATIONS, lambda: 0)
    empty(tables)
    stations.publish(tables)
    raw = recorded(folder, days)
    fill(tables, raw)
    return tables


@pytest.fixture(scope="module")
def filled(store_url, tmp_path_factory):
    """Three days."""
    tables = opened(store_url, tmp_path_factory.mktemp("weather"), 3)
    yield tables
    empty(tables)
    tables.close()


def ids(tables, table, where="1"):
    """Rows of a table."""
    return [
        row for (row,) in tables.query_rows(f"SELECT row_id FROM tapefold.{table} FINAL WHERE {where} ORDER BY 1").rows
    ]


def test_policies_come_back_from_the_store_as_they_stood_on_the_log(filled):
    """Every word of them, or rows would be made again by other rules."""
    assert sorted(SHIPPED, key=lambda policy: policy.policy_id) == policies(filled)


def test_every_row_is_made_again_from_its_inputs(filled):
    """Chosen and missing, as-of rows and labels: identical in every column."""
    explainer = Explainer(filled, PARTITIONS)
    for table in ("mos_asof", "settlement_labels"):
        rows = ids(filled, table)
        assert len(rows) >= 6
        for row_id in rows:
            answer = explainer.explain(row_id)
            assert answer.identical, (row_id, answer.differs)
            if answer.stored["missing_reason"] is None:
                assert answer.inputs
                assert all(each.lead_ns >= 0 for each in answer.inputs)


def test_what_was_not_chosen_and_what_came_too_late_is_said(filled):
    """Older runs, runs that were not known yet, reports that the venue's check ignores; as text and as JSON."""
    explainer = Explainer(filled, PARTITIONS)
    answers = [explainer.explain(row_id) for row_id in ids(filled, "mos_asof", "missing_reason IS NULL")]
    assert any("of an older run" in each.why for answer in answers for each in answer.not_chosen)
    assert any("after the as-of time" in each.why for answer in answers for each in answer.too_late)
    labels = [explainer.explain(row_id) for row_id in ids(filled, "settlement_labels", "label_f IS NOT NULL")]
    assert any("issued before the day was over" in each.why for label in labels for each in label.not_chosen)
    assert all("the last final report issued by the venue's check" in as_text(label, str) for label in labels)
    assert b'"role": "forecast"' in as_json(answers[0])


def test_a_row_owes_something_to_each_of_its_inputs(filled):
    """Without a chosen run, the chosen report or the outcome it is another row."""
    explainer = Explainer(filled, PARTITIONS)
    rng = random.Random(2)
    chosen = rng.sample(ids(filled, "mos_asof", "missing_reason IS NULL"), 8)
    for row_id in [*chosen, *ids(filled, "settlement_labels")]:
        assert checked(explainer.of(row_id), row_id) == len(explainer.explain(row_id).inputs)
        assert explainer.explain(row_id).inputs or row_id.startswith("label:")


def test_a_station_folded_again_says_the_same(filled):
    """Nothing left out, nothing different."""
    explainer = Explainer(filled, PARTITIONS)
    for row_id in (ids(filled, "mos_asof")[0], ids(filled, "settlement_labels")[0]):
        tellings = explainer.of(row_id).args[0]
        assert tellings.rows
        assert tellings.rows == tellings.without([]).rows


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_thousand_random_rows_are_made_again_and_owe_something_to_each_input(store_url, tmp_path):
    """Of forty days: as-of rows and labels, identical; each chosen run and each chosen report matters."""
    tables = opened(store_url, tmp_path, 40)
    rows = [*ids(tables, "mos_asof"), *ids(tables, "settlement_labels")]
    explainer = Explainer(tables, PARTITIONS)
    owed = 0
    for row_id in random.Random(4).sample(rows, 1_000):
        answer = explainer.explain(row_id)
        assert answer.identical, (row_id, answer.differs)
        owed += checked(explainer.of(row_id), row_id)
    assert owed > 300
    empty(tables)
    tables.close()
