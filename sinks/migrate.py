"""The schema: numbered SQL files, applied in order, once each, never changed afterwards.

Each part of the project numbers within a range of its own (0030.. the weather), so numbers have holes; a file that
comes into a hole later is applied then. Files of different ranges do not depend on each other, but on 0001-0005 only.

A statement that alters a table alters it in every generation, and every generation gets what is new.

Every statement says IF NOT EXISTS: a migration that was cut off is applied again from its first statement, and two
migrators at once do no harm.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from sinks import columns
from sinks.generation import database_of
from sinks.generations import create, existing, tables_of
from sinks.tables import DATABASE, Tables
from topics.errors import Refused

_TABLE = "schema_migrations"
_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_ALTER = re.compile(rf"ALTER\s+TABLE\s+{DATABASE}\.(\w+)")
# What may hide a semicolon: quotes (with \ and doubled quotes) and comments; the last branch ends a statement.
_TOKEN = re.compile(
    r"""(?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)"""
    r"""|(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<end>;)""",
    re.DOTALL,
)


class Migration(NamedTuple):
    """One file."""

    version: int
    name: str
    sha256: str
    sql: str


class MigrationRefused(Refused):
    """The files and the store do not fit together. The message says which file and what to do."""


def statements(sql: str) -> Iterator[str]:
    """The statements of a script, without their semicolons and without comments."""
    part: list[str] = []
    position = 0
    for token in _TOKEN.finditer(sql):
        part.append(sql[position : token.start()])
        position = token.end()
        if token.lastgroup == "quoted":
            part.append(token.group())
        elif token.lastgroup == "end":
            yield from _statement(part)
            part = []
        else:
            part.append(" ")
    part.append(sql[position:])
    yield from _statement(part)


def _statement(part: list[str]) -> Iterable[str]:
    text = "".join(part).strip()
    return (text,) if text else ()


def read_migrations(folder: Path) -> list[Migration]:
    """The files of `folder`, by number. Raises MigrationRefused for a wrong name, no file 0001 or a number given twice."""
    migrations: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise MigrationRefused(f"{path}: expected a name like 0001_what_it_does.sql; rename it")
        text = path.read_bytes()
        version = int(match[1])
        migrations.append(Migration(version, path.name, hashlib.sha256(text).hexdigest(), text.decode()))
    numbers = [migration.version for migration in migrations]
    if numbers[:1] != [1] or len(numbers) != len(set(numbers)):
        raise MigrationRefused(f"{folder}: expected files numbered from 0001, each number once, were {numbers}")
    return migrations


def migrate(tables: Tables, folder: Path, now_ns: Callable[[], int]) -> list[str]:
    """Apply what is not applied yet; returns the names of the files applied now, none when all was.

    Raises MigrationRefused when an applied file has changed since, or when the store is ahead of the files.
    """
    migrations = read_migrations(folder)
    applied = _applied(tables)
    _check(migrations, applied)
    done: list[str] = []
    generations = existing(tables)
    beside = {database_of(each): tables_of(tables, database_of(each)) for each in generations}
    for migration in migrations:
        if migration.version in applied:
            continue
        for statement in statements(migration.sql):
            tables.command(statement)
            for other in in_generations(statement, beside):
                tables.command(other)
        row = pa.table(
            {
                "version": columns.uint32([migration.version]),
                "name": columns.text([migration.name]),
                "sha256": columns.text([migration.sha256]),
                "applied_at": columns.time_ns([now_ns()]),
            }
        )
        tables.insert_arrow(_TABLE, row, f"{_TABLE}:{migration.version}:{migration.sha256}")
        done.append(migration.name)
    for each in generations if done else ():
        create(tables, each)  # what is new in the live one
    return done


def in_generations(statement: str, beside: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """A statement that alters a live table, for the same table of each generation. beside: database -> its tables."""
    altered = _ALTER.match(statement)
    for database, names in beside.items():
        if altered is not None and altered[1] in names:
            yield f"ALTER TABLE {database}.{altered[1]}{statement[altered.end() :]}"


def schema_version(tables: Tables) -> int:
    """The number of the last migration applied, 0 for an empty store."""
    return max(_applied(tables), default=0)


def _applied(tables: Tables) -> dict[int, set[tuple[str, str]]]:
    """Version -> its (name, sha256); more than one when migrators of different code met."""
    exists = tables.query_rows(
        "SELECT count() FROM system.tables WHERE database = {database:String} AND name = {table:String}",
        {"database": DATABASE, "table": _TABLE},
    )
    applied: dict[int, set[tuple[str, str]]] = {}
    if exists.rows[0][0]:
        for version, name, sha256 in tables.query_rows(
            "SELECT version, name, sha256 FROM tapefold.schema_migrations"
        ).rows:
            applied.setdefault(version, set()).add((name, sha256))
    return applied


def _check(migrations: list[Migration], applied: dict[int, set[tuple[str, str]]]) -> None:
    known = {migration.version: migration for migration in migrations}
    for version, entries in sorted(applied.items()):
        for name, sha256 in sorted(entries):
            if version not in known:
                raise MigrationRefused(
                    f"migration {version} ({name}) is applied, but no such file is here; "
                    "the store was migrated by newer code: update this one"
                )
            if sha256 != known[version].sha256:
                raise MigrationRefused(
                    f"{known[version].name}: expected the text that was applied (sha256 {sha256[:12]}), "
                    f"was {known[version].sha256[:12]}; restore the file and write a new migration"
                )
