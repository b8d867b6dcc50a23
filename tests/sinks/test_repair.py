"""A part's directory is taken off the disk while its token stays: within a round, and after its commit."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sink_rig import NOW_NS, RAW, Running, bronze, fill, hands, killed_at, writer

from sinks.audit import contiguity
from sinks.checksum import FIRST_ROW_HASH_SQL
from sinks.migrate import migrate
from sinks.protocol import Halted
from sinks.repair import Looked, repair
from sinks.tables import Tables
from tapefold.local.store.process import LocalStore
from topics.log import MemoryLog

SQL = Path(__file__).parents[2] / "clickhouse"
TRADES = "fact.trade"
TOPICS = [RAW, TRADES]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The state folder of a store of the test's own, whose parts stay as they were inserted."""
    with opened(tmp_path) as tables:
        migrate(tables, SQL / "migrations", lambda: NOW_NS)
    return tmp_path


@contextmanager
def opened(folder: Path) -> Iterator[Tables]:
    """The tables of the folder's store, started for the block; merges stand still, so that a part is an insert."""
    with LocalStore(folder) as store, closing(Tables(store.address.url)) as tables:
        tables.command("SYSTEM STOP MERGES")
        yield tables


def parts(tables: Tables, table: str) -> list[Path]:
    """The directories of a table's parts, the first inserted first."""
    rows = tables.query_rows(
        "SELECT path FROM system.parts WHERE database = 'tapefold' AND table = {table:String} AND active"
        " ORDER BY min_block_number",
        {"table": table},
    ).rows
    assert rows
    return [Path(path) for (path,) in rows]


def mended(log: MemoryLog, tables: Tables, stamp: str) -> list[Looked]:
    """Repair all; the rounds that lacked something."""
    return [looked for looked in looked_at(log, tables, stamp) if looked.mended]


def looked_at(log: MemoryLog, tables: Tables, stamp: str) -> list[Looked]:
    """Repair all, as the command does."""
    return list(repair(log, tables, hands(log, tables), TOPICS, sink="main", stamp=stamp))


def missing(log: MemoryLog, tables: Tables) -> list[str]:
    """The places that the audit says are missing; it finds nothing else."""
    found = contiguity(log, tables, SQL, now_sql="2026-08-06 08:00:00", full=True).findings
    assert {"offset_missing"} >= {each.problem for each in found}
    return [each.place for each in found]


def test_a_part_that_is_lost_after_its_commit_is_named_and_brought_back(
    folder: Path, log: MemoryLog, make: Any
) -> None:
    """The sink goes on and does not see it; the first token is spent; the repair has one of its own."""
    log.appender().append(TRADES, make.record(TRADES, make.trade()).value, partition=0)
    fill(log, 40)
    with opened(folder) as tables:
        with Running(writer(log, tables, topics=TOPICS, batch_rows_max=20)) as running:
            running.drained()
        lost = [parts(tables, "raw_records")[0], parts(tables, "trades")[0]]
        before = bronze(tables)
    for path in lost:
        shutil.rmtree(path)
    with opened(folder) as tables:
        assert bronze(tables) < before == (40, 40)
        named = missing(log, tables)
        assert 40 - bronze(tables)[0] == len(named) > 0
        assert all(place.startswith(f"{RAW}-") for place in named)
        fill(log, 10, first=40)
        with Running(writer(log, tables, topics=TOPICS)) as running:
            running.drained()
        assert named == missing(log, tables)
        looked = mended(log, tables, "1")
        assert {"raw_records", "trades"} == {place for each in looked for place in each.mended}
        assert [] == missing(log, tables)
        assert (50, 50) == bronze(tables)
        assert 1 == tables.query_rows("SELECT count() FROM tapefold_api.trades").rows[0][0]
        assert [] == mended(log, tables, "2")


def test_a_part_that_is_lost_within_its_round_gets_another_token(folder: Path, log: MemoryLog) -> None:
    """The writer died behind its insert; the next one finds the intent, and that its token is taken without rows."""
    fill(log, 20)
    with opened(folder) as tables:
        killed_at("sink.after_insert", log, tables, topics=[RAW])
        assert (20, 20) == bronze(tables)
        (lost,) = parts(tables, "raw_records")
    shutil.rmtree(lost)
    with opened(folder) as tables:
        assert (0, 0) == bronze(tables)
        with Running(writer(log, tables, topics=[RAW], now_ns=wall())) as running:
            running.drained()
        assert (20, 20) == bronze(tables)
        assert [] == missing(log, tables)


def wall() -> Any:
    """A clock that goes, so that the waits between two looks end."""
    ticks = iter(range(NOW_NS, 2**63, 10_000_000_000))
    return lambda: next(ticks)


def test_a_repair_from_another_log_is_refused(tables: Tables, log: MemoryLog) -> None:
    """What the log holds now is not what was committed."""
    fill(log, 20)
    with Running(writer(log, tables, topics=[RAW])) as running:
        running.drained()
    log._partitions[RAW][0][3] = log._partitions[RAW][0][3]._replace(value=b"other")
    with pytest.raises(Halted, match=r"^intent_content_mismatch: round 1"):
        mended(log, tables, "1")


def test_rounds_are_held_a_few_at_a_time_and_those_of_the_first_hash_are_read_by_it(
    tables: Tables, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is looked at once, in their order; none of an older sink is taken for another log's."""
    fill(log, 60)
    with Running(writer(log, tables, topics=TOPICS, batch_rows_max=10)) as running:
        running.drained()
    monkeypatch.setattr("sinks.repair.ROUNDS_HELD", 2)
    seen = [each.number for each in looked_at(log, tables, "1")]
    assert list(range(1, len(seen) + 1)) == seen
    assert len(seen) >= 6
    tables.command("ALTER TABLE tapefold.sink_commits UPDATE checksum = 1 WHERE round = 2 SETTINGS mutations_sync = 2")
    with pytest.raises(Halted, match=r"^intent_content_mismatch: round 2"):
        looked_at(log, tables, "2")
    first = (
        "SELECT sum(HASH) FROM tapefold.raw_records WHERE _partition = {} AND _offset >= {} AND _offset < {}"
    ).replace("HASH", FIRST_ROW_HASH_SQL)
    for span in tables.query_rows("SELECT partition, first, next FROM tapefold.sink_commits WHERE round = 2").rows:
        checksum = tables.query_rows(first.format(*span)).rows[0][0]
        tables.command(
            f"ALTER TABLE tapefold.sink_commits UPDATE checksum = {checksum}, code = 3 WHERE round = 2"
            f" AND partition = {span[0]} SETTINGS mutations_sync = 2"
        )
    assert seen == [each.number for each in looked_at(log, tables, "3")]
