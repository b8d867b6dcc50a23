"""The audit names what is wrong, and says nothing of what is right."""

from pathlib import Path

import pytest
from sink_rig import NOW_NS, RAW, Running, fill, killed_at, writer

from sinks import audit
from sinks.audit import Finding, contiguity
from sinks.checksum import FIRST_ROW_HASH_SQL, ROW_HASH_SQL, SHAPED_FROM_CODE
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


def test_rows_that_nobody_committed_are_named(tables: Tables, log: MemoryLog) -> None:
    """Behind the last commit, in a partition without one; what a writer has begun to write is no stray."""
    fill(log, 10)
    killed_at("sink.after_insert", log, tables, topics=[RAW])
    assert [] == findings(log, tables, now="2026-08-06 06:00:00")
    with Running(writer(log, tables, topics=[RAW])) as running:
        running.drained()
    for partition, first in ((0, 7), (1, 5), (5, 0)):
        tables.command(
            "INSERT INTO tapefold.raw_records (_topic, _partition, _offset, _timestamp, value)"
            f" SELECT '{RAW}', {partition}, {first} + number, 0, 'x' FROM numbers(2)"
        )
    assert [("rows_uncommitted", place) for place in ("0 offsets [7,9)", "1 offsets [5,7)", "5 offsets [0,2)")] == [
        (each.problem, each.place.removeprefix(f"sink : {RAW}-")) for each in findings(log, tables)
    ]


def test_a_first_commit_that_is_gone_is_named(tables: Tables, log: MemoryLog) -> None:
    """The chain begins where the first intent of a committed round did; without any commit left, too."""
    for first in (0, 10):
        fill(log, 10, first)
        with Running(writer(log, tables, topics=[RAW])) as running:
            running.drained()
    drop = f"ALTER TABLE tapefold.sink_commits DELETE WHERE topic = '{RAW}' AND partition = 1"
    tables.command(f"{drop} AND first = 0 SETTINGS mutations_sync = 2")
    place = f"sink main: {RAW}-1 offsets"
    assert [Finding("chain_begins_late", f"{place} [0,5)", "expected 0", "was 5")] == findings(log, tables)
    tables.command(f"{drop} SETTINGS mutations_sync = 2")
    assert [Finding("chain_begins_late", f"{place} [0,10)", "expected 0", "was no commit")] == [
        each for each in findings(log, tables) if each.problem != "intent_stale"
    ]


def test_a_partition_that_a_round_left_out_is_no_late_beginning(tables: Tables, log: MemoryLog) -> None:
    """Not in an intent that lost, nor within five minutes in one that writers followed; after that nobody has it, and it is."""
    fill(log, 10)
    with Running(writer(log, tables, topics=[RAW])) as running:
        running.drained()

    def intend(attempt: int, partition: int) -> None:
        tables.command(
            "INSERT INTO tapefold.sink_intents (sink, round, attempt, owner, code, topic, partition, first, next, rows, at)"
            f" VALUES ('main', 1, {attempt}, 'z', 4, '{RAW}', {partition}, 3, 9, 6, '2026-08-06 07:06:00')"
        )

    intend(1, 7)
    intend(2, 8)
    assert [] == findings(log, tables, now="2026-08-06 07:10:00")
    place = f"sink main: {RAW}-8 offsets [3,9)"
    assert [Finding("chain_begins_late", place, "expected 3", "was no commit")] == findings(log, tables)


def test_a_partition_that_nobody_reads_is_named(drained: Tables, log: MemoryLog) -> None:
    """Five minutes after its first record; not while the sink itself is so young, nor a topic that it has nothing of."""
    log._partitions[RAW].append([])
    log.appender().append(RAW, b"x", partition=2, timestamp_ms=NOW_NS // 1_000_000 + 60_000)
    log.appender().append("books", b"x", partition=0, timestamp_ms=0)
    for young in ("2026-08-06 07:10:00", "2026-08-06 07:12:00"):
        assert [] == findings(log, drained, now=young)
    place, was = f"sink main: {RAW}-2 offsets [0,1)", "none, though its first record is of 2026-08-06 07:07:40"
    assert [Finding("partition_unread", place, "a commit", was)] == findings(log, drained)
    with Running(writer(log, drained, topics=[RAW])) as running:
        running.drained()
    assert [] == findings(log, drained)


def test_commits_of_the_first_hash_are_read_by_it(drained: Tables, log: MemoryLog) -> None:
    """What was committed by an older sink still stands; a row of it that was altered is named."""
    first_hash = (
        "SELECT sum(HASH) FROM tapefold.raw_records WHERE _topic = '{}' AND _partition = {} AND _offset >= {}"
        " AND _offset < {}"
    ).replace("HASH", FIRST_ROW_HASH_SQL)
    for partition, first, end in drained.query_rows("SELECT partition, first, next FROM tapefold.sink_commits").rows:
        checksum = drained.query_rows(first_hash.format(RAW, partition, first, end)).rows[0][0]
        drained.command(
            f"ALTER TABLE tapefold.sink_commits UPDATE code = 3, checksum = {checksum}"
            f" WHERE partition = {partition} AND first = {first} SETTINGS mutations_sync = 2"
        )
    assert [] == findings(log, drained)
    assert [] == findings(log, drained, full=False)
    drained.command("ALTER TABLE tapefold.sink_commits UPDATE code = 4 WHERE first > 90 SETTINGS mutations_sync = 2")
    drained.command(
        "ALTER TABLE tapefold.raw_records UPDATE value = 'x' WHERE _partition = 0 AND _offset = 7"
        " SETTINGS mutations_sync = 2"
    )
    assert ("offset_altered", f"{RAW}-0 offset 7") in {each[:2] for each in findings(log, drained)}


def test_a_full_run_holds_a_part_of_the_ranges_at_a_time(
    drained: Tables, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And looks at all of them."""
    whole = contiguity(log, drained, SQL, now_sql=NOW, full=True)
    monkeypatch.setattr(audit, "RANGES_HELD", 3)
    assert whole == contiguity(log, drained, SQL, now_sql=NOW, full=True)
    log._partitions[RAW][1][99] = log._partitions[RAW][1][99]._replace(value=b"other")
    assert ["log_altered"] == [each.problem for each in findings(log, drained)]


def test_the_query_hashes_as_the_sink_does() -> None:
    """It stands alone, so that anyone may run it; the hash must be the one of the commits."""
    text = (SQL / "audits" / "contiguity_content.sql").read_text()
    assert f"{FIRST_ROW_HASH_SQL} AS first_hash" in text
    assert f"{ROW_HASH_SQL} AS hash" in text
    assert f"committed.code < {SHAPED_FROM_CODE}, first_hash" in text
    assert NOW_NS
