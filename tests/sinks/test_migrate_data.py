"""Every migration against a store that is full of rows of the version before it."""

import re
from pathlib import Path

import pytest

from sinks.migrate import Migration, migrate, read_migrations
from sinks.tables import Tables

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"
ROWS = 4
_ALTERED = re.compile(r"ALTER\s+TABLE\s+tapefold\.(\w+)")
_TABLES = "SELECT name FROM system.tables WHERE database = 'tapefold' AND endsWith(engine, 'MergeTree')"
_COLUMNS = (
    "SELECT name, type FROM system.columns WHERE database = 'tapefold' AND table = {table:String}"
    " AND default_kind NOT IN ('MATERIALIZED', 'ALIAS') ORDER BY position"
)
_VIEWS = "SELECT name FROM system.tables WHERE database = 'tapefold_api' AND NOT match(create_table_query, '{\\\\w+:')"

State = dict[str, tuple[tuple[str, ...], str, int]]  # table -> its columns, a hash of what is in them, rows


def fill(tables: Tables, table: str, seed: int) -> None:
    """Rows of what the columns can hold at this version."""
    columns = tables.query_rows(_COLUMNS, {"table": table}).rows
    names = ", ".join(name for name, _ in columns)
    structure = ", ".join(f"{name} {kind}" for name, kind in columns).replace("'", "\\'")
    tables.command(
        f"INSERT INTO tapefold.{table} ({names})"
        f" SELECT * FROM generateRandom('{structure}', {seed}, 12, 3) LIMIT {ROWS}"
    )


def look(tables: Tables, before: State | None = None) -> State:
    """What every table holds; of the tables of `before` in the columns that they had."""
    state: State = {}
    for table in [name for (name,) in tables.query_rows(_TABLES).rows if name != "schema_migrations"]:
        if before is None or table not in before:
            names = tuple(name for name, _ in tables.query_rows(_COLUMNS, {"table": table}).rows)
        else:
            names = before[table][0]
        content = f"hex(groupBitXor(sipHash64(toString(tuple({', '.join(names)})))))"
        ((content_hash, count),) = tables.query_rows(f"SELECT {content}, count() FROM tapefold.{table}").rows
        state[table] = (names, content_hash, count)
    return state


def apply(tables: Tables, migration: Migration, done: list[Migration], folder: Path) -> None:
    """Migrate by one file more, as an upgrade would."""
    for each in [*done, migration]:
        (folder / each.name).write_text(each.sql)
    assert [migration.name] == migrate(tables, folder, lambda: 7)


def readable(tables: Tables) -> None:
    """Every view without parameters gives what it gives."""
    for (view,) in tables.query_rows(_VIEWS).rows:
        tables.query_bytes(f"SELECT * FROM tapefold_api.{view}", "Null")


def test_every_migration_leaves_the_rows_of_the_version_before_whole(bare_store: Tables, tmp_path: Path) -> None:
    """Tables are filled when they come, and again before each file that alters them."""
    done: list[Migration] = []
    filled: set[str] = set()
    rows = 0
    for number, migration in enumerate(read_migrations(MIGRATIONS)):
        there = {name for (name,) in bare_store.query_rows(_TABLES).rows} if done else set()
        for table in sorted((there - filled) | (there & set(_ALTERED.findall(migration.sql)))):
            if table != "schema_migrations":
                fill(bare_store, table, number + 1)
        filled |= there
        before = look(bare_store) if done else {}
        apply(bare_store, migration, done, tmp_path)
        after = look(bare_store, before)
        assert before == {table: after[table] for table in before}, migration.name
        if _ALTERED.search(migration.sql):
            readable(bare_store)
        done.append(migration)
        rows = sum(count for *_, count in after.values())
    readable(bare_store)
    assert rows >= ROWS * (len(filled) - 1)
    assert {"sink_commits", "raw_records", "trades"} <= filled


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE WHERE 1 SETTINGS mutations_sync = 2",
        "MODIFY COLUMN checked UInt8",
        "UPDATE detail = '' WHERE 1 SETTINGS mutations_sync = 2",
    ],
)
def test_a_migration_that_harms_rows_would_be_seen(tables: Tables, harm: str) -> None:
    """What the test above compares does change when rows do."""
    fill(tables, "audit_runs", 1)
    before = look(tables)
    try:
        tables.command(f"ALTER TABLE tapefold.audit_runs {harm}")
        assert before["audit_runs"] != look(tables, before)["audit_runs"]
    finally:
        tables.command("ALTER TABLE tapefold.audit_runs MODIFY COLUMN checked UInt64")
