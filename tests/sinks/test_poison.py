"""Rows that convert here and that only the store refuses: they go to `dead`, count in their range, and hold nobody up."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sink_rig import NOW_NS, RAW, Journal, KilledHere, Running, chain, dying, fill, writer

from sinks.audit import contiguity
from sinks.delivery import PLACES, Delivery
from sinks.evolution import OUR_SCHEMA
from sinks.repair import repair
from sinks.rows import build
from sinks.sift import refused_rows
from sinks.tables import StatementRefused, StoreUnavailable, Tables
from topics.log import MemoryLog

SQL = Path(__file__).parents[2] / "clickhouse"
TRADES = "fact.trade"
BAD = (7, 58)  # offsets of trades that the store refuses; the second one is told by another record, too
DEAD = (
    "SELECT reason, stage, cause_topic, cause_partition, cause_offset, _offset, detail FROM tapefold.dead FINAL"
    " ORDER BY cause_offset"
)


@pytest.fixture
def strict(tables: Tables) -> Iterator[Tables]:
    """A store whose table of trades does not take a connection named `bad`."""
    tables.command("ALTER TABLE tapefold.trades ADD CONSTRAINT no_bad CHECK conn != 'bad'")
    yield tables
    tables.command("ALTER TABLE tapefold.trades DROP CONSTRAINT no_bad")


@pytest.fixture
def trades(log: MemoryLog, make: Any) -> MemoryLog:
    """A log of 60 trades, two of which are poison; that of one of these was told before by a good record."""
    appender = log.appender()
    fill(log, 10)
    for number in range(60):
        trade = make.trade(trade_id=f"t{number % 53}", conn="bad" if number in BAD else "a")
        appender.append(TRADES, make.record(TRADES, trade).value, partition=0)
    return log


def told(tables: Tables) -> list[tuple[Any, ...]]:
    """What `dead` tells, without the words."""
    return [tuple(row[:6]) for row in tables.query_rows(DEAD).rows]


def in_order(log: MemoryLog, tables: Tables) -> None:
    """The bad ones are in `dead` with their own places, the others in their table, and the ranges count all of them."""
    assert [("bad_value", "sink", TRADES, 0, offset, offset) for offset in BAD] == told(tables)
    ids = [name for (name,) in tables.query_rows("SELECT trade_id FROM tapefold_api.trades").rows]
    good = {f"t{number % 53}" for number in range(60) if number not in BAD}
    assert sorted(good) == sorted(ids)
    assert 60 == sum(rows for commits in chain(tables, TRADES) for _, _, rows in commits)
    assert () == contiguity(log, tables, SQL, now_sql="2026-08-07 00:00:00", full=True).findings


def test_a_row_that_only_the_store_refuses_goes_to_dead(strict: Tables, trades: MemoryLog) -> None:
    """Its cause is its own place, the detail is the store's word of it, and the metric counts it."""
    journal = Journal()
    with Running(writer(trades, strict, journal, topics=[RAW, TRADES])) as running:
        running.drained()
    in_order(trades, strict)
    assert len(BAD) == running.sink.refused_rows()
    assert "sink_rows_refused" in journal.events
    assert "sink_store_down" not in journal.events
    detail = strict.query_rows(DEAD).rows[0][6]
    assert detail.startswith("trades: the store refused it with code 469: Constraint `no_bad`")
    assert "version" not in detail


@pytest.mark.parametrize("place", PLACES)
def test_who_takes_the_round_over_refuses_the_same_rows(strict: Tables, trades: MemoryLog, place: str) -> None:
    """Killed at any place of any round, and its successor as well: the same rows are dead, each once."""
    killed = []
    for passings in (1, 3, 3):
        sink = writer(trades, strict, topics=[TRADES, RAW], hit=dying(place, passings), batch_rows_max=30)
        stop = threading.Event()
        watch = threading.Timer(
            1.0 if passings > 1 else 60.0, stop.set
        )  # a place that is not passed so often is no reason to wait
        watch.start()
        try:
            sink.run(stop)
        except KilledHere:
            killed.append(passings)
        finally:
            watch.cancel()
    assert 1 in killed
    with Running(writer(trades, strict, topics=[TRADES, RAW])) as running:
        running.drained()
    in_order(trades, strict)


class Moody(Tables):
    """A store that answers the first inserts of trades with something that is not about their rows."""

    moods: list[StoreUnavailable | StatementRefused]

    def insert_arrow(self, table: str, *given: Any, **named: Any) -> int | None:
        """Insert, or tell the next mood."""
        if table == "trades" and self.moods:
            raise self.moods.pop(0)
        return super().insert_arrow(table, *given, **named)


@pytest.mark.parametrize(
    "mood",
    [
        StoreUnavailable("cut"),
        StoreUnavailable("memory", 241),
        StatementRefused(33, "a body that was cut short"),
        StatementRefused(117, "a body that was cut short"),
        StatementRefused(516, "who are you"),
        StatementRefused(60, "no such table"),
    ],
    ids=str,
)
def test_what_is_the_servers_marks_no_row(tables: Tables, trades: MemoryLog, mood: StatementRefused) -> None:
    """Network, memory, rights, names: they are waited for, whatever single rows are tried meanwhile."""
    store = Moody(tables.url)
    store.moods = [mood]
    journal = Journal()
    with Running(writer(trades, store, journal, topics=[TRADES])) as running:
        running.drained()
    assert [] == store.moods
    assert [] == told(tables)
    assert ["sink_store_down", "sink_store_up"] == journal.events
    assert 53 == tables.query_rows("SELECT count() FROM tapefold_api.trades").rows[0][0]
    store.close()


def test_trouble_of_the_server_within_the_search_marks_no_row(strict: Tables, trades: MemoryLog) -> None:
    """The search is given up and begun again; what it had written by halves stands once."""
    store = Moody(strict.url)
    refusal = StatementRefused(469, "the whole")
    store.moods = [refusal, refusal, StoreUnavailable("cut"), refusal, refusal, StatementRefused(60, "gone")]
    with Running(writer(trades, store, topics=[TRADES, RAW])) as running:
        running.drained()
    assert [] == store.moods
    in_order(trades, strict)
    store.close()


def test_what_is_not_about_rows_ends_the_search() -> None:
    """However often it is said of a single row."""

    def insert(*_: object) -> None:
        raise StatementRefused(60, "gone")

    with pytest.raises(StatementRefused, match="code 60"):
        refused_rows(insert, pa.table({"a": [1]}), "t", 5)


def test_a_row_that_is_refused_once_and_taken_then_is_no_poison(tables: Tables, trades: MemoryLog) -> None:
    """A row is asked for twice alone before it is given up."""
    store = Moody(tables.url)
    store.moods = [StatementRefused(469, "a whim")] * 7  # twice the whole, four halves of halves, once a single row
    with Running(writer(trades, store, topics=[TRADES])) as running:
        running.drained()
    assert [] == store.moods
    assert [] == told(tables)
    store.close()


def test_repair_leaves_dead_rows_dead(strict: Tables, trades: MemoryLog) -> None:
    """What is refused is not missing; rows that are lost beside it come back."""
    topics = [TRADES, RAW]
    with Running(writer(trades, strict, topics=topics)) as running:
        running.drained()

    def mended(stamp: str) -> None:
        delivery = Delivery(
            trades,
            strict,
            sink="main",
            now_ns=lambda: NOW_NS,
            logger=Journal(),
            code_version="v1",
            hit=dying("nowhere"),
            compatible=OUR_SCHEMA,
        )
        _ = list(repair(trades, strict, delivery, topics, sink="main", stamp=stamp))

    mended("1")
    in_order(trades, strict)
    strict.command("ALTER TABLE tapefold.trades DELETE WHERE trade_id = 't3' SETTINGS mutations_sync = 2")
    mended("2")
    in_order(trades, strict)


def test_what_is_missing_is_refused_and_not_told_as_a_default(tables: Tables, make: Any) -> None:
    """A null for a column that has none would become an empty text or a zero: the store refuses such a row."""
    rows = build([make.record(TRADES, make.trade())], topic_ids={}, code_version="v1")["trades"]
    place = rows.column_names.index("market_ticker")
    with pytest.raises(StatementRefused) as caught:
        tables.insert_arrow("trades", rows.set_column(place, "market_ticker", pa.array([None], pa.string())), "null")
    assert (349, True) == (caught.value.code, caught.value.is_of_rows)


def test_records_of_eleven_hundred_months_are_one_insert(tables: Tables, log: MemoryLog) -> None:
    """Anyone may stamp a record with anything, and a part is of one month."""
    appender = log.appender()
    for number in range(1_100):
        appender.append(RAW, b"x", partition=0, timestamp_ms=number * 31 * 86_400_000)
    with Running(writer(log, tables, topics=[RAW])) as running:
        running.drained()
    assert [[(0, 1_100, 1_100)]] == chain(tables)
