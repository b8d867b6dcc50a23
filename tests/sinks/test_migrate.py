import threading
from pathlib import Path

import pytest

from sinks.migrate import MigrationRefused, migrate, read_migrations, schema_version, statements
from sinks.tables import Tables

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"
NAMES = [migration.name for migration in read_migrations(MIGRATIONS)]


def copy(folder: Path) -> Path:
    """The migrations, in a folder that a test may change."""
    for path in MIGRATIONS.glob("*.sql"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a; b;", ["a", "b"]),
        ("a", ["a"]),
        ("-- only; a comment\n;/* ; */ ;", []),
        ("SELECT ';' -- no; end\n, \"a;b\", `c;d`; x", ["SELECT ';'  \n, \"a;b\", `c;d`", "x"]),
        (r"SELECT 'it\'s; one', 'it''s; two', '\\'; y", [r"SELECT 'it\'s; one', 'it''s; two', '\\'", "y"]),
        ("SELECT '-- no comment'; /* '; */ z", ["SELECT '-- no comment'", "z"]),
    ],
)
def test_a_script_is_cut_at_semicolons_outside_quotes_and_comments(sql: str, expected: list[str]) -> None:
    """Comments go, quoted text stays as it is."""
    assert expected == list(statements(sql))


def test_migrations_are_applied_once_and_recorded(bare_store: Tables) -> None:
    """The second run finds nothing to do, and the version is that of the last file."""
    assert 0 == schema_version(bare_store)
    assert NAMES == migrate(bare_store, MIGRATIONS, lambda: 7)
    assert [] == migrate(bare_store, MIGRATIONS, lambda: 8)
    assert int(NAMES[-1][:4]) == schema_version(bare_store)
    applied = bare_store.query_rows(
        "SELECT name, toUnixTimestamp64Nano(applied_at) FROM tapefold.schema_migrations ORDER BY version"
    )
    assert [(name, 7) for name in NAMES] == [tuple(row) for row in applied.rows]


def test_a_file_that_changed_after_it_was_applied_is_refused(bare_store: Tables, tmp_path: Path) -> None:
    """History is not edited: the message names the file and the remedy."""
    folder = copy(tmp_path)
    migrate(bare_store, folder, lambda: 7)
    with (folder / NAMES[1]).open("a") as file:
        file.write("-- a word more\n")
    with pytest.raises(MigrationRefused, match=rf"{NAMES[1]}: expected the text that was applied .* restore the file"):
        migrate(bare_store, folder, lambda: 8)


def test_a_store_that_is_ahead_of_the_files_is_refused(bare_store: Tables, tmp_path: Path) -> None:
    """Old code does not touch a newer schema."""
    folder = copy(tmp_path)
    newest = folder / f"{int(NAMES[-1][:4]) + 1:04}_new.sql"
    newest.write_text("CREATE TABLE IF NOT EXISTS tapefold.new (a UInt8) ENGINE = MergeTree ORDER BY a;")
    assert newest.name == migrate(bare_store, folder, lambda: 7)[-1]
    with pytest.raises(MigrationRefused, match="migrated by newer code"):
        migrate(bare_store, MIGRATIONS, lambda: 8)


def test_a_cut_off_migration_is_finished_by_the_next_run(bare_store: Tables) -> None:
    """Statements that were already run are run again without harm."""
    first, second = read_migrations(MIGRATIONS)[:2]
    for statement in [*statements(first.sql), *statements(second.sql)]:
        bare_store.command(statement)
    assert NAMES == migrate(bare_store, MIGRATIONS, lambda: 7)


def test_two_migrators_at_once_leave_one_schema(bare_store: Tables) -> None:
    """Both end well, and each file is recorded once."""
    failures: list[BaseException] = []

    def run() -> None:
        own = Tables(bare_store.url)
        try:
            migrate(own, MIGRATIONS, lambda: 7)
        except BaseException as error:  # noqa: BLE001  # carried to the test
            failures.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failures
    recorded = bare_store.query_rows("SELECT count() FROM tapefold.schema_migrations FINAL").rows[0][0]
    assert len(NAMES) == recorded


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["1_a.sql"], "expected a name like"),
        (["0001_a.sql", "0001_b.sql"], "each number once"),
        (["0002_a.sql"], "from 0001"),
        ([], "from 0001"),
    ],
)
def test_wrongly_numbered_files_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    """A number says which file it is; what is there of 0001 is what all else stands on."""
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationRefused, match=message):
        read_migrations(tmp_path)


def test_every_table_and_column_says_what_it_is(bare_store: Tables) -> None:
    """The schema is its own documentation."""
    migrate(bare_store, MIGRATIONS, lambda: 7)
    silent = bare_store.query_rows(
        "SELECT database, table, name FROM system.columns WHERE startsWith(database, 'tapefold') AND comment = ''"
        " UNION ALL SELECT database, name, '' FROM system.tables"
        " WHERE startsWith(database, 'tapefold') AND comment = ''"
    )
    assert [] == list(silent.rows)
