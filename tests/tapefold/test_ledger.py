"""The ledger: decisions are facts with versions, and training leaves out what they call unusable."""

from pathlib import Path

import pytest
from minutes import telling
from stored import empty, insert, records
from typer.testing import CliRunner
from weather import WeatherFold, ns

from sinks.migrate import migrate
from sinks.tables import Tables
from tapefold import ledger, migrating, quality
from tapefold.cli import app
from topics.annotations import Annotation
from topics.catalog import FACT_ANNOTATION, FACT_BAR
from topics.codec import encode
from topics.errors import Refused
from topics.log import MemoryLog, Record
from topics.units import NS_PER_MINUTE

SQL_DIR = Path(__file__).parents[2] / "clickhouse"
FIRST = ns("2026-04-10 14:00") // NS_PER_MINUTE


def decision(first, end, verdict="unusable", **over):
    """About minutes of SPY, counted from FIRST."""
    values = {
        "annotation_id": "d", "version": 1, "dataset": "curated_tws_1m_bars", "keys": ("SPY",), "verdict": verdict,
        "from_ns": (FIRST + first) * NS_PER_MINUTE, "to_ns": (FIRST + end) * NS_PER_MINUTE, "note": "stale copies",
        "known_ns": ns("2026-04-11 08:00"),
    }  # fmt: skip
    return Annotation(**(values | over))


@pytest.fixture
def log():
    """A log with three partitions of the topic."""
    made = MemoryLog()
    made.create({FACT_ANNOTATION: {}}, 3)
    return made


def test_another_decision_is_another_version(log):
    """The same words again are no record; other words hold from then on, and the earlier ones stay."""
    told = [ledger.add(log, each) for each in (decision(0, 5), decision(0, 5, known_ns=1), decision(0, 5, "accepted"))]
    assert [1, 1, 2] == [each.version for each in told]
    assert [["unusable", "accepted"]] == [[each.verdict for each in held] for held in ledger.versions(log).values()]


def test_a_decision_is_withdrawn_once(log):
    """What is taken back is a version too, and can be decided anew."""
    ledger.add(log, decision(0, 5))
    taken = ledger.withdraw(log, "d", note="was right after all", author="me", now_ns=7)
    assert (2, "withdrawn", "was right after all", 7) == (taken.version, taken.verdict, taken.note, taken.known_ns)
    for name in ("d", "e"):
        with pytest.raises(Refused, match="quality ledger"):
            ledger.withdraw(log, name, note="again", author="me", now_ns=8)
    assert 3 == ledger.add(log, decision(0, 5)).version


@pytest.mark.parametrize("over", [{"note": ""}, {"annotation_id": "x" * 201}])
def test_a_decision_that_nobody_could_read_is_not_appended(log, over):
    """A record that readers refuse would stand in their way for ever."""
    with pytest.raises(Refused, match="annotation"):
        ledger.add(log, decision(0, 5, **over))
    assert {} == ledger.versions(log)


def test_a_range_has_a_length():
    """It ends after it begins."""
    with pytest.raises(ValueError, match="expected a time after from"):
        decision(5, 5)


@pytest.fixture
def tables(store_url):
    """A store with two hours of two symbols."""
    opened = Tables(store_url)
    migrate(opened, SQL_DIR / "migrations", lambda: 0)
    empty(opened)
    told = [telling(FIRST + n, n, 100_000_000 + n, symbol=symbol) for symbol in ("SPY", "QQQ") for n in range(120)]
    fold = WeatherFold().feed(FACT_BAR, *told)
    rows = [Record(out.topic, 0, offset, 0, None, (), out.value) for offset, out in enumerate(fold.outputs)]
    insert(opened, [*records(FACT_BAR, *told), *rows])
    yield opened
    empty(opened)
    opened.close()


def decide(tables, *annotations):
    """As the sink writes them."""
    insert(tables, [Record(FACT_ANNOTATION, 0, n, 0, None, (), encode(each)) for n, each in enumerate(annotations)])


def trained(tables, symbol="SPY"):
    """Minutes from FIRST that are left for training, and what is said of them."""
    rows = quality.get_features_for_training(
        tables, "features_price_1m_v1", [symbol], "2026-04-10 14:00:00", "2026-04-10 16:00:00"
    ).to_pylist()
    return {int(row["minute"].timestamp()) // 60 - FIRST: row["annotations"] for row in rows}


def test_training_leaves_out_what_is_unusable_and_what_leans_on_it(tables):
    """Ten minutes of bars take the hour behind them along; another symbol and another dataset's day are untouched."""
    assert set(range(120)) == set(trained(tables))
    decide(
        tables,
        decision(20, 30),
        decision(100, 101, "accepted", annotation_id="a", keys=(), note="late print"),
        decision(0, 120, annotation_id="w", dataset="features_weather", keys=()),
        decision(0, 120, annotation_id="k", keys=("IWM",)),
    )
    left = trained(tables)
    assert {*range(20), *range(90, 120)} == set(left)
    assert {n for n, said in left.items() if said == ["accepted: late print"]} == set(range(100, 120))
    assert set(range(120)) == set(trained(tables, "QQQ"))


def asked(tables, asof):
    """What inference gets of SPY at that moment: closes by minute from FIRST."""
    rows = quality.get_features_for_inference(
        tables, "features_price_1m_v1", ["SPY"], "2026-04-10 14:00:00", "2026-04-10 16:00:00", asof
    ).to_pylist()
    return {int(row["minute"].timestamp()) // 60 - FIRST: int(row["close"] * 1_000_000) - 100_000_000 for row in rows}


def test_inference_knows_neither_bars_nor_decisions_of_later(tables):
    """At 15:00:02 the bar of 14:59 is known and the next is not; a correction and a decision hold from their own times on."""
    late = telling(FIRST + 10, 900, 100_000_777, known_ns=ns("2026-04-11 10:00"))
    insert(tables, records(FACT_BAR, late))
    decide(tables, decision(20, 30))
    assert {n: n for n in range(59)} == asked(tables, "2026-04-10 15:00:01")
    assert {n: n for n in range(60)} == asked(tables, "2026-04-10 15:00:02")
    assert {n: n for n in range(120)} == asked(tables, "2026-04-11 07:59:59")
    left = {n: n for n in (*range(20), *range(90, 120))}
    assert left == asked(tables, "2026-04-11 08:00:00")
    assert left | {10: 777} == asked(tables, "2026-04-11 10:00:00")


def test_a_decision_that_was_taken_back_leaves_nothing_out(tables):
    """The latest version holds; as known before, the earlier one did."""
    decide(tables, decision(0, 120), decision(0, 120, "withdrawn", version=2, known_ns=ns("2026-04-12 08:00")))
    assert set(range(120)) == set(trained(tables))
    for moment, verdicts in (("2026-04-10", []), ("2026-04-11 09:00:00", ["unusable"]), ("2026-04-13", ["withdrawn"])):
        answer = tables.query_rows(f"SELECT verdict FROM tapefold_api.annotations_known(t = '{moment}')")
        assert verdicts == [row[0] for row in answer.rows]


def test_health_tells_what_was_decided_and_stays_what_it_is(tables):
    """A day without rows is RED, accepted or not; the ledger's words stand beside it."""
    day = {"from_ns": ns("2026-04-13"), "to_ns": ns("2026-04-14")}
    decide(tables, decision(0, 0, "accepted", note="exchange closed", **day))
    health = quality.get_dataset_health(tables, "curated_tws_1m_bars", "2026-04-13")
    assert ("RED", ("no_rows",), True, ("accepted: exchange closed",)) == (
        health.status, health.reasons, health.accepted, health.annotations,
    )  # fmt: skip
    assert ("GREEN", False) == quality.get_dataset_health(tables, "curated_tws_1m_bars", "2026-04-10")[::4]


def test_an_unknown_feature_set_is_refused(tables):
    """The message names those that are there."""
    with pytest.raises(Refused, match="features_weather"):
        quality.get_features_for_training(tables, "features_of_dreams", [], "2026-04-10", "2026-04-11")
    with pytest.raises(Refused, match="features_weather"):
        quality.get_features_for_inference(tables, "features_of_dreams", [], "2026-04-10", "2026-04-11", "2026-04-11")


def test_the_commands_write_the_ledger_and_show_it(own_kafka, monkeypatch):
    """`quality unusable`, `ledger`, `withdraw` on a real log."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", own_kafka.bootstrap)
    monkeypatch.setenv("COLUMNS", "300")
    own_kafka.create({FACT_ANNOTATION: migrating.topic_settings()[FACT_ANNOTATION]}, 2)
    said = ["--from", "2025-01-13", "--to", "2025-01-14", "--key", "SPY", "--note", "restarted"]
    written = CliRunner().invoke(app, ["quality", "unusable", "raw_tws_bars", *said])
    name, _, rest = written.stdout.partition(": ")
    assert "unusable, version 1" == rest.strip()
    assert "accepted, version 2" in CliRunner().invoke(app, ["quality", "accept", "raw_tws_bars", *said]).stdout
    shown = CliRunner().invoke(app, ["quality", "ledger"]).stdout
    assert (1, 1) == (shown.count("restarted"), shown.count("accepted"))
    assert "version 3" in CliRunner().invoke(app, ["quality", "withdraw", name, "--note", "no"]).stdout
    assert "restarted" not in CliRunner().invoke(app, ["quality", "ledger"]).stdout
    assert 0 != CliRunner().invoke(app, ["quality", "unusable", "rumours", *said]).exit_code
