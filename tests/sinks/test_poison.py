"""Rows that convert here and that only the store refuses: they go to `dead`, count in their range, and hold nobody up."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sink_rig import RAW, Journal, KilledHere, Running, chain, dying, fill, hands, writer

from sinks.audit import contiguity
from sinks.delivery import PLACES
from sinks.protocol import Halted
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


# What the store answers: a text that is no address (676), a type that is made of no text (53).
@pytest.fixture(params=["IPv6", "Map(String, String)"])
def changed(tables: Tables, request: pytest.FixtureRequest) -> Iterator[Tables]:
    """A store whose table of trades was changed by hand: none of our rows fits into it."""
    ((kind,),) = tables.query_rows(
        "SELECT type FROM system.columns WHERE database = 'tapefold' AND table = 'trades' AND name = 'conn'"
    ).rows
    tables.command(f"ALTER TABLE tapefold.trades DROP COLUMN conn, ADD COLUMN conn {request.param}")
    yield tables
    tables.command("TRUNCATE TABLE tapefold.trades SYNC")
    tables.command("ALTER TABLE tapefold.trades DROP COLUMN conn")
    tables.command(f"ALTER TABLE tapefold.trades ADD COLUMN conn {kind}")


def tell(log: MemoryLog, make: Any, *numbers: int) -> None:
    """Append these trades."""
    for number in numbers:
        value = make.record(TRADES, make.trade(trade_id=f"t{number}")).value
        log.appender().append(TRADES, value, partition=0)


def refusal(log: MemoryLog, tables: Tables, **options: Any) -> Halted:
    """The error that ends a writer."""
    with pytest.raises(Halted) as caught:
        writer(log, tables, topics=[TRADES], **options).run(threading.Event())
    return caught.value


def test_a_table_that_was_changed_by_hand_stops_the_sink_and_nothing_of_it_is_dead(
    changed: Tables, log: MemoryLog, make: Any
) -> None:
    """However few rows come: all of two are no bad rows. The message has the store's word and what to do."""
    tell(log, make, 0, 1)
    said = str(refusal(log, changed))
    assert "expected trades to take some rows, it refused all 2 rows: the store refused" in said
    assert "undo what was changed" in said
    assert [] == told(changed)


def test_rows_that_come_one_by_one_stop_it_with_the_second_and_come_back_by_repair(
    changed: Tables, log: MemoryLog, make: Any
) -> None:
    """The first alone may be a bad one."""
    tell(log, make, *range(5))
    assert "refused each row since round 1" in str(refusal(log, changed, batch_rows_max=1))
    assert [("bad_value", "sink", TRADES, 0, 0, 0)] == told(changed)
    changed.command("ALTER TABLE tapefold.trades DROP COLUMN conn")
    changed.command("ALTER TABLE tapefold.trades ADD COLUMN conn LowCardinality(String)")
    with Running(writer(log, changed, topics=[TRADES])) as running:
        running.drained()
    assert [1, 1] == [len(told(changed)), len(mended(log, changed, "1"))]
    assert 5 == changed.query_rows("SELECT count() FROM tapefold_api.trades").rows[0][0]


def test_rows_that_are_all_wrong_are_dead_where_the_operator_says_so(
    changed: Tables, log: MemoryLog, make: Any
) -> None:
    """By the table's name; a repair asks as well."""
    tell(log, make, 0, 1)
    with Running(writer(log, changed, topics=[TRADES], refusable=["trades"])) as running:
        running.drained()
    assert 2 == len(told(changed))
    assert [] == mended(log, changed, "1", refusable=["trades"])
    with pytest.raises(Halted, match="refused all 2 rows"):
        mended(log, changed, "2")


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


def mended(log: MemoryLog, tables: Tables, stamp: str, **options: Any) -> list[tuple[int, tuple[str, ...]]]:
    """Repair all; the rounds that lacked something, with the tables that did."""
    looked = repair(log, tables, hands(log, tables), [TRADES, RAW], sink="main", stamp=stamp, **options)
    return [(each.number, each.mended) for each in looked if each.mended]


def test_repair_leaves_dead_rows_dead(strict: Tables, trades: MemoryLog) -> None:
    """What is refused is not missing; rows that are lost beside it come back, and it says so."""
    topics = [TRADES, RAW]
    with Running(writer(trades, strict, topics=topics)) as running:
        running.drained()

    assert [] == mended(trades, strict, "1")
    in_order(trades, strict)
    strict.command("ALTER TABLE tapefold.trades DELETE WHERE trade_id = 't3' SETTINGS mutations_sync = 2")
    ((number,),) = strict.query_rows("SELECT round FROM tapefold.sink_commits WHERE topic = 'fact.trade'").rows
    assert [(number, ("trades",))] == mended(trades, strict, "2")
    in_order(trades, strict)
    assert [] == mended(trades, strict, "3")
    strict.command("ALTER TABLE tapefold.trades DELETE WHERE trade_id = 't3' SETTINGS mutations_sync = 2")
    strict.command("TRUNCATE TABLE tapefold.dead SYNC")
    assert [(number, ("dead", "trades"))] == mended(trades, strict, "4")
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
