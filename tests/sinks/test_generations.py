"""Generations: their tables, the pointer, and a sink that writes all that the pointer names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sink_rig import NOW_NS, RAW, FaultyTables, Running, bronze, chain, fill, writer

from sinks.generation import LIVE, database_of, placed, split
from sinks.generations import UNMOVED, Pointer, create, drop, existing, move, read, tables_of
from sinks.layouts import LAYOUTS
from sinks.migrate import migrate
from sinks.tables import Tables
from topics.errors import Refused
from topics.log import MemoryLog

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"


@pytest.fixture
def store(tables: Tables) -> Iterator[Tables]:
    """A store with an empty generation `new` beside the live one."""
    create(tables, "new")
    yield tables
    tables.command("DROP DATABASE IF EXISTS tapefold_gen_new SYNC")


def moved(store: Tables, before: Pointer, written: tuple[str, ...], shown: str = LIVE, owner: str = "me") -> Pointer:
    """Move the pointer."""
    return move(store, before, shown=shown, written=written, owner=owner, note="a test", now_ns=lambda: NOW_NS)


def trades(store: Tables, database: str) -> list[str]:
    """The trades of a generation."""
    return [name for (name,) in store.query_rows(f"SELECT trade_id FROM {database}.trades ORDER BY 1").rows]


def tell(log: MemoryLog, make: Any, *names: str) -> None:
    """Trades come in."""
    for name in names:
        log.appender().append("fact.trade", make.record("fact.trade", make.trade(trade_id=name)).value, partition=0)


def test_a_place_is_named_with_its_database_but_where_it_is_live_or_shared() -> None:
    """So an insert token carries the generation, and those of before stay what they were."""
    places = placed(["raw_records", "trades", "bars_1m"], (LIVE, "new"))
    assert ("raw_records", "trades", "bars_1m", "tapefold_gen_new.trades", "tapefold_gen_new.bars_1m") == places
    assert [("tapefold", "raw_records"), ("tapefold_gen_new", "trades")] == [split(places[0]), split(places[3])]
    for wrong in ("", "New", "a-b", "a" * 42):
        with pytest.raises(Refused, match="expected letters"):
            database_of(wrong)


def test_a_generation_has_what_the_fold_fills(store: Tables) -> None:
    """Facts, rows and journals, each with the order of the live one; neither bronze nor the ledger."""
    names = set(tables_of(store))
    assert {*LAYOUTS, "bars_1m_journal"} - {"annotations"} <= names
    assert not {"annotations", "raw_records", "beat_log", "sink_commits", "sink_intents", "audit_runs"} & names
    shapes = [
        store.query_rows(
            "SELECT name, sorting_key, partition_key, engine_full FROM system.tables WHERE database = {database:String}"
            " AND name IN {names:Array(String)} ORDER BY name",
            {"database": database, "names": sorted(names)},
        ).rows
        for database in ("tapefold", "tapefold_gen_new")
    ]
    assert shapes[0] == shapes[1]
    assert ["new"] == existing(store)


def test_the_pointer_moves_once_from_where_it_was_seen(store: Tables) -> None:
    """Of two that saw the same pointer one moves it; the other is told."""
    assert UNMOVED == read(store)
    first = moved(store, UNMOVED, (LIVE, "new"))
    assert Pointer(1, LIVE, (LIVE, "new")) == first == read(store)
    with pytest.raises(Refused, match="expected the pointer as it was seen"):
        moved(store, UNMOVED, (LIVE,), owner="another")
    assert Pointer(2, "new", ("new",)) == moved(store, first, ("new",), shown="new") == read(store)


def test_a_mover_that_looked_too_early_loses_to_the_token(store: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both find the pointer as they saw it; the store takes the token once."""
    moved(store, UNMOVED, (LIVE, "new"))
    monkeypatch.setattr("sinks.generations.read", lambda _: UNMOVED)
    with pytest.raises(Refused, match="look again"):
        moved(store, UNMOVED, (LIVE,), owner="another")
    assert [("me",)] == [tuple(row) for row in store.query_rows("SELECT owner FROM tapefold.generation_moves").rows]


def test_a_pointer_whose_token_is_spent_moves_all_the_same(store: Tables) -> None:
    """The store remembers the token of a row that it lost."""
    faulty = FaultyTables(store.url, ("generation_moves", "token only"))
    assert 1 == moved(faulty, UNMOVED, (LIVE, "new")).version
    faulty.close()


def test_what_is_shown_must_be_written_and_exist(store: Tables) -> None:
    """The pointer never leads to nothing, and what it names is not dropped."""
    with pytest.raises(Refused, match="among those that are written"):
        moved(store, UNMOVED, (LIVE,), shown="new")
    with pytest.raises(Refused, match="expected tables in tapefold_gen_other"):
        moved(store, UNMOVED, (LIVE, "other"))
    pointer = moved(store, UNMOVED, (LIVE, "new"))
    with pytest.raises(Refused, match="neither shown nor written"):
        drop(store, "new")
    with pytest.raises(Refused, match="neither shown nor written"):
        drop(store, LIVE)
    moved(store, pointer, (LIVE,))
    drop(store, "new")
    assert [] == existing(store)


def test_a_sink_writes_every_generation_that_is_to_be_written(store: Tables, log: MemoryLog, make: Any) -> None:
    """It follows the pointer from the next round on; bronze stands once, and each commit says where its rows are."""
    topics = [RAW, "fact.trade"]
    with Running(writer(log, store, topics=topics)) as running:
        tell(log, make, "early")
        running.drained()
        pointer = moved(store, UNMOVED, (LIVE, "new"))
        tell(log, make, "both")
        fill(log, 10)
        running.drained()
        pointer = moved(store, pointer, ("new",), shown="new")
        tell(log, make, "late")
        running.drained()
    assert ["both", "early"] == trades(store, "tapefold")
    assert ["both", "late"] == trades(store, "tapefold_gen_new")
    assert (10, 10) == bronze(store)
    said = store.query_rows(
        "SELECT generations FROM tapefold.sink_commits WHERE topic = 'fact.trade' ORDER BY round, partition"
    ).rows
    assert [[LIVE], [LIVE, "new"], ["new"]] == [list(row[0]) for row in said]


@pytest.mark.parametrize("fault", ["before", "after", "token only"])
def test_a_fault_in_one_generation_is_mended_in_that(store: Tables, log: MemoryLog, make: Any, fault: str) -> None:
    """Read back, found lacking, written again: each row stands once in each."""
    moved(store, UNMOVED, (LIVE, "new"))
    tell(log, make, "one", "two")
    faulty = FaultyTables(store.url, ("trades", fault))
    with Running(writer(log, faulty, topics=["fact.trade"])) as running:
        running.drained()
    assert [] == faulty.plan
    assert ["one", "two"] == trades(store, "tapefold") == trades(store, "tapefold_gen_new")
    faulty.close()


def test_a_generation_that_goes_under_a_sink_stops_nothing(store: Tables, log: MemoryLog, make: Any) -> None:
    """An insert that finds no table is a failure; the next look says that nobody wants it any more."""
    pointer = moved(store, UNMOVED, (LIVE, "new"))
    store.command("DROP DATABASE tapefold_gen_new SYNC")
    tell(log, make, "one")
    with Running(writer(log, store, topics=["fact.trade"])) as running:
        running.until(lambda: "sink_store_down" in running.sink._logger.events)  # type: ignore[attr-defined]
        moved(store, pointer, (LIVE,))
        running.drained()
    assert ["one"] == trades(store, "tapefold")
    assert [[(0, 1, 1)]] == chain(store, "fact.trade")


def test_a_migration_reaches_every_generation(store: Tables, tmp_path: Path) -> None:
    """What alters a live table alters it everywhere, and what is new is new everywhere."""
    for path in MIGRATIONS.glob("*.sql"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "9999_more.sql").write_text(
        "ALTER TABLE tapefold.trades ADD COLUMN IF NOT EXISTS more UInt8;\n"
        "ALTER TABLE tapefold.sink_gaps ADD COLUMN IF NOT EXISTS more UInt8;\n"
        "CREATE TABLE IF NOT EXISTS tapefold.fresh (_offset UInt64) ENGINE = MergeTree ORDER BY _offset;\n"
    )
    try:
        assert ["9999_more.sql"] == migrate(store, tmp_path, lambda: NOW_NS)
        found = store.query_rows(
            "SELECT database, table FROM system.columns WHERE name = 'more' OR table = 'fresh' ORDER BY 1, 2"
        ).rows
        places = [("tapefold", "fresh"), ("tapefold", "sink_gaps"), ("tapefold", "trades")]
        assert [*places, ("tapefold_gen_new", "fresh"), ("tapefold_gen_new", "trades")] == list(map(tuple, found))
    finally:
        for table in ("trades", "sink_gaps"):
            store.command(f"ALTER TABLE tapefold.{table} DROP COLUMN IF EXISTS more")
        store.command("DROP TABLE IF EXISTS tapefold.fresh SYNC")
        store.command("ALTER TABLE tapefold.schema_migrations DELETE WHERE version = 9999 SETTINGS mutations_sync = 2")
