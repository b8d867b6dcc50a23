"""What only the store refuses: the live sink and a replay tell it in `dead`, and all other rows are the same."""

from pathlib import Path

import pytest
import tape
from sink_rig import Running, writer
from stored import empty

from sinks import generations
from sinks.migrate import migrate
from sinks.tables import StatementRefused, Tables
from stream_processors.replay import Part
from tapefold.replay import compare
from tapefold.replay import writer as replay_writer
from tapefold.replay.writer import Writer
from topics.catalog import BOOKS, FACT_TRADE, RAW_KALSHI_WS, SINK_TOPICS
from topics.codec import decode_book_top, decode_fact
from topics.errors import Refused
from topics.events import Trade
from topics.log import MemoryLog

MIGRATIONS = Path(__file__).parents[3] / "clickhouse" / "migrations"
DATABASE = "tapefold_gen_poison"
MADE = tape.tape(8, steps=120)


@pytest.fixture
def store(store_url):
    """A migrated store without rows."""
    tables = Tables(store_url)
    migrate(tables, MIGRATIONS, lambda: 0)
    empty(tables)
    yield tables
    for table in ("trades", "books"):
        tables.command(f"ALTER TABLE tapefold.{table} DROP CONSTRAINT IF EXISTS no_poison")
    generations.drop(tables, "poison")
    empty(tables)
    tables.close()


def told():
    """All that comes of the tape."""
    part = Part(range(MADE.partitions), MADE.partitions)
    return [record for number, log in enumerate(MADE.logs) for record in part.raw(RAW_KALSHI_WS, number, log)]


def lived(store, records):
    """Let a sink write them."""
    log = MemoryLog()
    log.create({topic: {} for topic in SINK_TOPICS}, MADE.partitions)
    appender = log.appender()
    for record in records:
        if record.topic in SINK_TOPICS:
            appender.append(record.topic, record.value, partition=record.partition, key=record.key)
    with Running(writer(log, store, topics=list(SINK_TOPICS))) as running:
        running.drained()
    return running.sink.refused_rows()


def replayed(store, records, batch=10_000):
    """Write them into a generation, so many at a time."""
    generations.create(store, "poison")
    writing = Writer(store, DATABASE, generations.tables_of(store), name="0")
    for start in range(0, len(records), batch):
        writing.add(records[start : start + batch])
        writing.flush()
    return writing


def dead(store, database):
    """Where the rows that the sink refused stand, without the words."""
    return store.query_rows(
        f"SELECT reason, cause_topic, cause_partition, cause_offset, count() FROM {database}.dead WHERE stage = 'sink'"
        " GROUP BY ALL ORDER BY ALL"
    ).rows


def poison(store, records):
    """From now on the store takes neither a certain trade nor a certain best level, though they convert here."""
    trades = [decode_fact(record.value) for record in records if record.topic == FACT_TRADE]
    trade = next(fact for fact in trades if isinstance(fact, Trade))
    tops = [decode_book_top(record.value) for record in records if record.topic == BOOKS]
    for table, taken in (
        ("trades", f"trade_id != '{trade.trade_id}'"),
        ("books", f"row_id != '{tops[len(tops) // 2].row_id}'"),
    ):
        store.command(f"ALTER TABLE tapefold.{table} ADD CONSTRAINT no_poison CHECK {taken}")


@pytest.mark.parametrize("batch", [10_000, 40])
def test_a_row_that_the_store_refuses_stops_no_replay_and_makes_no_difference(store, batch):
    """A trade and a best level: absent on both sides, dead once on each, with the store's words; no other row differs."""
    records = told()
    poison(store, records)
    refused = lived(store, records)
    assert refused >= 2
    writing = replayed(store, records, batch)
    assert refused == writing.refused
    tables = compare.tables_of(store)
    assert {} == {table.name: keys for table in tables if (keys := compare.differing(store, DATABASE, table))}
    for table in ("trades", "books", "bars_1m"):
        ((rows,),) = store.query_rows(f"SELECT count() FROM {DATABASE}.{table} FINAL").rows
        assert rows
    assert dead(store, "tapefold") == dead(store, DATABASE)
    assert {("fact.trade", 1), ("books", 1)} == {(topic, times) for _, topic, _, _, times in dead(store, DATABASE)}
    assert refused == len(dead(store, DATABASE))
    ((detail,),) = store.query_rows(f"SELECT any(detail) FROM {DATABASE}.dead WHERE cause_topic = 'books'").rows
    assert detail.startswith("books: the store refused it with code 469: Constraint `no_poison`")


def test_what_is_not_for_rows_ends_the_replay(store):
    """A table that is not there is nobody's poison."""
    generations.create(store, "poison")
    store.command(f"DROP TABLE {DATABASE}.trades SYNC")
    writing = Writer(store, DATABASE, generations.tables_of(store), name="0")
    writing.add(told())
    with pytest.raises(StatementRefused, match="code 60"):
        writing.flush()


def test_a_table_that_takes_hardly_any_row_is_not_ours(store, monkeypatch):
    """As the sink, a replay does not call a whole table dead: it stops and names it."""
    monkeypatch.setattr(replay_writer, "REFUSED_MAX", 5)
    store.command("ALTER TABLE tapefold.trades ADD CONSTRAINT no_poison CHECK trade_id = ''")
    with pytest.raises(Refused, match="trades: expected a table that takes our rows"):
        replayed(store, told())
