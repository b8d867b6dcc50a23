"""The audit names what is wrong, and says nothing of what is right."""

from pathlib import Path

import pytest
from sink_rig import NOW_NS, RAW, Running, fill, killed_at, writer

from sinks.audit import Finding, contiguity
from sinks.checksum import ROW_HASH_SQL
from sinks.tables import Tables
from topics.log import MemoryLog

SQL = Path(__file__).parents[2] / "clickhouse"
NOW = "2026-08-06 08:00:00"


@pytest.fixture
def drained(tables: Tables, log: MemoryLog) -> Tables:
    """A store to which a sink has brought 200 records in ten rounds."""
    fill(log, 200)
    with Running(writer(log, tables, topics=[RAW], batch_rows_max=20)) as running:
        running.drained()
    return tables


def findings(log: MemoryLog, tables: Tables, *, full: bool = True, now: str = NOW) -> list[Finding]:
    """What the audit finds."""
    return list(contiguity(log, tables, SQL, now_sql=now, full=full).findings)


@pytest.mark.parametrize("full", [True, False])
def test_a_store_that_is_as_the_log_gives_no_finding(drained: Tables, log: MemoryLog, full: bool) -> None:
    """All ranges were looked at, in the store and on the log."""
    report = contiguity(log, drained, SQL, now_sql=NOW, full=full)
    assert () == report.findings
    assert 10 <= report.checked == report.from_log


def test_a_row_that_was_deleted_is_named(drained: Tables, log: MemoryLog) -> None:
    """By topic, partition and offset."""
    drained.command(
        f"ALTER TABLE tapefold.raw_records DELETE WHERE _partition = 1 AND _offset = 42 AND _topic = '{RAW}'"
        " SETTINGS mutations_sync = 2"
    )
    assert [Finding("offset_missing", f"{RAW}-1 offset 42", "a row", "none")] == findings(log, drained)


def test_a_row_that_is_gone_is_found_in_any_range(tables: Tables, log: MemoryLog) -> None:
    """The hourly run counts the rows of all ranges; only their content is a sample."""
    fill(log, 220)
    with Running(writer(log, tables, topics=[RAW], batch_rows_max=2)) as running:
        running.until(lambda: bool(running.sink.positions()) and running.sink.lag() == 0, timeout_s=120.0)
    tables.command(
        f"ALTER TABLE tapefold.raw_records DELETE WHERE _partition = 1 AND _offset = 3 AND _topic = '{RAW}'"
        " SETTINGS mutations_sync = 2"
    )
    for seed in range(3):
        report = contiguity(log, tables, SQL, now_sql=NOW, seed=seed)
        assert (Finding("offset_missing", f"{RAW}-1 offset 3", "a row", "none"),) == report.findings
        assert report.checked < 110


@pytest.mark.parametrize("change", ["value = 'x'", "_headers = map('a', 'b')", "_key = 'k'"])
def test_a_value_that_was_changed_is_named(drained: Tables, log: MemoryLog, change: str) -> None:
    """Whatever part of the record it was."""
    drained.command(
        f"ALTER TABLE tapefold.raw_records UPDATE {change} WHERE _partition = 0 AND _offset = 7"
        " SETTINGS mutations_sync = 2"
    )
    (finding,) = findings(log, drained)
    assert ("offset_altered", f"{RAW}-0 offset 7") == finding[:2]


def test_a_row_that_stands_twice_and_one_that_the_log_has_not_are_named(tables: Tables, log: MemoryLog) -> None:
    """A doubled row is told even before the engine merges it away; offsets that were skipped hold no row."""
    fill(log, 10)
    with Running(writer(log, tables, topics=[RAW])) as running:
        running.drained()
    tables.command("SYSTEM STOP MERGES tapefold.raw_records")
    copy = "INSERT INTO tapefold.raw_records SELECT * FROM tapefold.raw_records WHERE _offset = 3 AND _partition = 0"
    tables.command(copy)
    assert [Finding("offset_doubled", f"{RAW}-0 offset 3", "one row", "2 equal rows")] == findings(log, tables)
    tables.command("SYSTEM START MERGES tapefold.raw_records")


def test_a_hole_in_the_chain_is_named(drained: Tables, log: MemoryLog) -> None:
    """A commit that is gone leaves a hole, unless an operator accepted it as a gap."""
    drained.command(
        "ALTER TABLE tapefold.sink_commits DELETE WHERE partition = 1 AND first = 20 SETTINGS mutations_sync = 2"
    )
    place = f"sink main: {RAW}-1 offsets [20,40)"
    assert [("chain_hole", place), ("intent_stale", place)] == [each[:2] for each in findings(log, drained)]
    drained.command(f"INSERT INTO tapefold.sink_gaps VALUES ('main', '{RAW}', '', 1, 20, 40, 'r', 'n', 0)")
    assert [] == findings(log, drained)


def test_an_intent_that_nobody_finished_is_named(tables: Tables, log: MemoryLog) -> None:
    """After five minutes; before that a writer may be at work."""
    fill(log, 10)
    killed_at("sink.after_insert", log, tables, topics=[RAW])
    assert [] == findings(log, tables, now="2026-08-06 06:00:00")
    assert {"intent_stale"} == {each.problem for each in findings(log, tables, now="2026-08-07 00:00:00")}
    with Running(writer(log, tables, topics=[RAW])) as running:
        running.drained()
    assert [] == findings(log, tables, now="2026-08-07 00:00:00")


def test_a_log_that_was_changed_afterwards_is_named(drained: Tables, log: MemoryLog) -> None:
    """Store and commits agree, the log does not: the range is named."""
    log._partitions[RAW][0][33] = log._partitions[RAW][0][33]._replace(value=b"other")
    (finding,) = findings(log, drained)
    assert ("log_altered", f"{RAW}-0-[20,40)") == finding[:2]
    del log._partitions[RAW][0][95:]
    assert {"log_altered", "log_truncated"} == {each.problem for each in findings(log, drained)}


def test_the_query_hashes_as_the_sink_does() -> None:
    """It stands alone, so that anyone may run it; the hash must be the one of the commits."""
    assert ROW_HASH_SQL in (SQL / "audits" / "contiguity_content.sql").read_text()
    assert NOW_NS
