import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sink_rig import (
    NOW_NS,
    RAW,
    FaultyTables,
    Journal,
    KilledHere,
    Running,
    bronze,
    chain,
    dying,
    fill,
    killed_at,
    writer,
)

from sinks.batch import Round, Share, Tail
from sinks.delivery import PLACES
from sinks.generation import LIVE
from sinks.ledger import Ledger
from sinks.migrate import migrate
from sinks.steps import WriteCommit
from sinks.tables import Rows, Tables
from tapefold.local.store.process import LocalStore
from topics.log import MemoryLog

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"


@pytest.fixture
def faulty(tables: Tables) -> Iterator[Callable[..., FaultyTables]]:
    """Makes stores with planned faults."""
    made: list[FaultyTables] = []

    def new(*plan: tuple[str, str]) -> FaultyTables:
        made.append(FaultyTables(tables.url, *plan))
        return made[-1]

    yield new
    for each in made:
        each.close()


def test_every_record_stands_once_and_the_commits_make_a_chain(tables: Tables, log: MemoryLog) -> None:
    """Several batches, one commit row per batch and partition, no hole between them."""
    fill(log, 100)
    with Running(writer(log, tables, batch_rows_max=30)) as running:
        running.drained()
        fill(log, 11, 100)
        running.drained()
    assert (111, 111) == bronze(tables)
    for commits, rows in zip(chain(tables), (56, 55), strict=True):
        assert 0 == commits[0][0]
        assert all(left[1] == right[0] for left, right in itertools.pairwise(commits))
        assert rows == commits[-1][1] == sum(each[2] for each in commits)


def test_a_new_writer_goes_on_at_the_commit_rows(tables: Tables, log: MemoryLog) -> None:
    """Positions come from ClickHouse alone, and nothing is inserted twice."""
    fill(log, 10)
    with Running(writer(log, tables)) as running:
        running.drained()
    fill(log, 6, 10)
    second = writer(log, tables)
    with Running(second) as running:
        running.drained()
    assert {(RAW, 0): 8, (RAW, 1): 8} == {key: at for key, at in second.positions().items() if key[0] == RAW}
    assert (16, 16) == bronze(tables)
    assert [[(0, 5, 5), (5, 8, 3)], [(0, 5, 5), (5, 8, 3)]] == chain(tables)


class Asked(Tables):
    """Counts how often the store is asked for its schemas."""

    schemas = 0

    def query_rows(self, sql: str, *given: Any) -> Rows:
        """Ask."""
        self.schemas += "system.columns" in sql
        return super().query_rows(sql, *given)


def test_the_schemas_are_asked_for_once(tables: Tables, log: MemoryLog, make: Any) -> None:
    """By whoever needs one first: the read-back, or the commit where nothing is to be read back."""
    for _ in range(3):
        log.appender().append("fact.trade", make.record("fact.trade", make.trade()).value, partition=0)
    with contextlib.closing(Asked(tables.url)) as asked:
        with Running(writer(log, asked, topics=["fact.trade"], batch_rows_max=1)) as running:
            running.drained()
        assert 1 == asked.schemas
    assert 3 == len(chain(tables, "fact.trade")[0])


def test_positions_belong_to_a_sink(tables: Tables, log: MemoryLog) -> None:
    """Another sink on the same store begins at the log's start."""
    fill(log, 4)
    with Running(writer(log, tables, topics=[RAW])) as running:
        running.drained()
    with Running(writer(log, tables, topics=[RAW], sink="other")) as running:
        running.drained()
    answer = tables.query_rows("SELECT sink, sum(rows) FROM tapefold.sink_commits GROUP BY sink ORDER BY sink")
    assert [("main", 4), ("other", 4)] == [tuple(row) for row in answer.rows]


@pytest.mark.parametrize("passings", [1, 2])
@pytest.mark.parametrize("place", PLACES)
def test_a_kill_anywhere_doubles_and_loses_nothing(
    tables: Tables, log: MemoryLog, make: Any, place: str, passings: int
) -> None:
    """The next process would cut its batches otherwise, and finishes exactly what was begun, even if killed as well."""
    fill(log, 20)
    log.appender().append("fact.trade", make.record("fact.trade", make.trade()).value, partition=0)
    topics = [RAW, "fact.trade"]
    killed_at(place, log, tables, passings, topics=topics, batch_rows_max=9)
    if place in {"sink.before_insert", "sink.after_insert", "sink.after_verify", "sink.before_commit"}:
        with contextlib.suppress(KilledHere):  # the adopting one finds nothing to insert where all rows are there
            writer(log, tables, topics=topics, hit=dying(place)).run(threading.Event())
    with Running(writer(log, tables, topics=topics, batch_rows_max=7)) as running:
        running.drained()
    assert (20, 20) == bronze(tables)
    assert 1 == tables.query_rows("SELECT count() FROM tapefold.trades").rows[0][0]
    for commits in chain(tables):
        assert 0 == commits[0][0]
        assert 10 == commits[-1][1] == sum(each[2] for each in commits)
        assert all(left[1] == right[0] for left, right in itertools.pairwise(commits))


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (table, fault)
        for table in ("sink_intents", "raw_records", "trades", "sink_commits")
        for fault in ("before", "after", "half", "token only")
        if (table, fault) not in {("sink_intents", "half"), ("sink_commits", "half"), ("trades", "half")}
    ],
)
def test_an_insert_of_unknown_end_leaves_each_row_once(
    faulty: Callable[..., FaultyTables], log: MemoryLog, make: Any, table: str, fault: str
) -> None:
    """Whether an insert was lost, landed, landed in part or was forgotten, the result is the same."""
    fill(log, 10)
    log.appender().append("fact.trade", make.record("fact.trade", make.trade()).value, partition=0)
    store = faulty((table, fault))
    with Running(writer(log, store, topics=[RAW, "fact.trade"])) as running:
        running.drained()
    assert [] == store.plan
    assert (10, 10) == bronze(store)
    assert [[(0, 5, 5)], [(0, 5, 5)]] == chain(store)
    assert 1 == store.query_rows("SELECT count() FROM tapefold.trades").rows[0][0]


def test_a_store_that_is_away_is_waited_for(faulty: Callable[..., FaultyTables], log: MemoryLog) -> None:
    """Each change is said once, reading pauses, nothing is lost."""
    fill(log, 40)
    store = faulty(("raw_records", "before"), ("raw_records", "after"), ("raw_records", "before"))
    journal = Journal()
    with Running(writer(log, store, journal, batch_rows_max=10)) as running:
        running.drained()
    assert (40, 40) == bronze(store)
    assert ["sink_store_down", "sink_store_up"] == journal.events[:2]
    assert journal.events.count("sink_store_down") == journal.events.count("sink_store_up")


def test_a_batch_is_never_delivered_past_one_that_was_given_up(
    faulty: Callable[..., FaultyTables], log: MemoryLog
) -> None:
    """A stop while the first batch fails ends the writer; a commit of the second would hide the first for ever."""
    fill(log, 40)
    store = faulty()
    store.never = {0}
    with Running(writer(log, store, batch_rows_max=10)) as running:
        running.until(lambda: store.tried > 1)
    assert [] == chain(store)
    store.never.clear()
    with Running(writer(log, store, batch_rows_max=10)) as running:
        running.drained()
    assert (40, 40) == bronze(store)


def test_a_store_killed_and_started_again_has_every_record_once(tmp_path: Path, log: MemoryLog) -> None:
    """SIGKILL of the store under load; the writer stays and goes on."""
    with LocalStore(tmp_path) as store:
        tables = Tables(store.address.url)
        migrate(tables, MIGRATIONS, lambda: NOW_NS)
        fill(log, 1_000)
        journal = Journal()
        with Running(writer(log, tables, journal, batch_rows_max=100)) as running:
            running.until(lambda: running.sink.positions().get((RAW, 0), 0) > 0)
            store.kill()
            fill(log, 1_000, 1_000)
            running.until(lambda: "sink_store_down" in journal.events)
            store.start()
            running.drained()
        assert (2_000, 2_000) == bronze(tables)
        assert ["sink_store_down", "sink_store_up"] == [each for each in journal.events if "store_" in each]
        tables.close()


def test_a_writer_may_start_before_the_schema_is_there(bare_store: Tables, log: MemoryLog) -> None:
    """It says that the store is not ready, and begins when it is."""
    fill(log, 3)
    journal = Journal()
    with Running(writer(log, bare_store, journal)) as running:
        running.until(lambda: journal.events == ["sink_store_down"])
        migrate(Tables(bare_store.url), MIGRATIONS, lambda: NOW_NS)
        running.drained()
    assert (3, 3) == bronze(bare_store)


def test_a_batch_that_does_not_fill_is_written_all_the_same(tables: Tables, log: MemoryLog, make: Any) -> None:
    """One record of each kind, then nothing more: they are there without another one."""
    with Running(writer(log, tables, batch_wait_s=0.5)) as running:
        running.until(lambda: bool(running.sink.positions()))
        fill(log, 2)
        for topic, event in (
            ("fact.trade", make.trade()),
            ("fact.trade", make.beat()),
            ("books", make.book()),
            ("bars.1m", make.bar()),
            ("gaps", make.gap()),
            ("fact.gap", make.coverage()),
        ):
            log.appender().append(topic, make.record(topic, event).value, partition=0)
        running.drained()
    assert 1 == tables.query_rows("SELECT count() FROM tapefold_api.bars_1m").rows[0][0]


def test_a_round_is_committed_once_though_its_tokens_are_forgotten(tables: Tables, log: MemoryLog) -> None:
    """A writer that stood still wakes up with a commit of its own, after the store lost power: another's stands."""
    identity, partition = log.identity([RAW]), (RAW, 0)
    tails = {partition: Tail(1, 2)}
    ours, theirs = (Round(7, 0, owner, 4, (Share(RAW, 0, 0, end, end, 0),)) for owner, end in (("w0", 3), ("w1", 1)))
    ledger = Ledger(tables, sink="main", now_ns=lambda: NOW_NS)
    for number, round_ in enumerate((theirs, ours, theirs)):
        ledger.write_commit(WriteCommit(round_, f"token {number}", (LIVE,)), identity, tails)
        assert theirs.shares == ledger.seen(7, intents=False).commit
    other = ours._replace(number=8)
    ledger.write_commit(WriteCommit(other, "token 8", (LIVE,)), identity, tails)
    assert [(7, "w1", 1), (8, "w0", 3)] == [
        tuple(row)
        for row in tables.query_rows("SELECT round, owner, next FROM tapefold.sink_commits ORDER BY round").rows
    ]


def test_a_refused_record_counts_in_its_range(tables: Tables, log: MemoryLog) -> None:
    """Foreign data on a topic becomes a row of `dead` and the sink goes on."""
    log.appender().append("books", b"no JSON", partition=1)
    with Running(writer(log, tables)) as running:
        running.drained()
    answer = tables.query_rows("SELECT stage, cause_topic, cause_partition, cause_offset FROM tapefold_api.dead")
    assert [("sink", "books", 1, 0)] == [tuple(row) for row in answer.rows]
    assert [[(0, 1, 1)]] == chain(tables, "books")


def test_two_writers_behave_as_one(tables: Tables, log: MemoryLog) -> None:
    """Both work at the same time under one name, while the log grows: one chain, each offset once."""
    one, other = (writer(log, tables, topics=[RAW], batch_rows_max=rows, batch_wait_s=0.01) for rows in (40, 30))
    with Running(one) as first, Running(other) as second:
        for number in range(20):
            fill(log, 100, number * 100)
            time.sleep(0.05)
        first.drained()
        second.drained()
    assert (2_000, 2_000) == bronze(tables)
    for commits in chain(tables):
        assert 0 == commits[0][0]
        assert 1_000 == commits[-1][1] == sum(each[2] for each in commits)
        assert all(left[1] == right[0] for left, right in itertools.pairwise(commits))
    owners = tables.query_rows("SELECT uniqExact(owner) FROM tapefold.sink_commits").rows[0][0]
    assert owners in {1, 2}


def test_a_dead_store_costs_no_memory(faulty: Callable[..., FaultyTables], log: MemoryLog) -> None:
    """While it is away two batches are held, and the log is read no further."""
    fill(log, 1_000)
    store = faulty()
    store.away = True
    sink = writer(log, store, topics=[RAW], batch_rows_max=50)
    reads = []
    real = log.reader

    def counting(positions: Any, **named: Any) -> Any:
        reader = real(positions, **named)
        read = reader.read_stretches

        def counted(*given: Any) -> Any:
            parts = read(*given)
            reads.extend(len(part.offsets) for part in parts)
            return parts

        reader.read_stretches = counted
        return reader

    log.reader = counting
    with Running(sink) as running:
        running.until(lambda: store.tried >= 3)
        held = sum(reads)
        store.away = False
        running.drained()
    assert held <= 2 * 50
    assert (1_000, 1_000) == bronze(store)


def test_too_many_parts_slow_it_down_and_fail_nothing(faulty: Callable[..., FaultyTables], log: MemoryLog) -> None:
    """Code 252: it waits the longest at once, and gathers larger batches afterwards."""
    fill(log, 10)
    store = faulty(("raw_records", "too many parts"))
    sink = writer(log, store, topics=[RAW])
    began = time.monotonic()
    with Running(sink) as running:
        running.until(lambda: sink._wait_s > 0.05)
        running.drained()
    assert time.monotonic() - began >= 5.0
    assert (10, 10) == bronze(store)
