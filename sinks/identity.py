"""How the rows of a table replace each other, and the question whether rows that were inserted still count.

A `ReplacingMergeTree` keeps, of the rows with one sorting key, the one with the highest version. So a row is there when
one with its key and no lower version is: an older telling in its place is a loss. Keys and versions that the table
computes itself (`MATERIALIZED`) are computed here by the table's own expressions.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sinks.tables import Tables

_COLUMNS = """
SELECT tables.name, tables.sorting_key, tables.engine_full, columns.name, columns.type, columns.default_expression
FROM system.tables AS tables INNER JOIN system.columns AS columns
    ON tables.database = columns.database AND tables.name = columns.table
WHERE tables.database = 'tapefold'
"""
_VERSION = re.compile(r"ReplacingMergeTree\((\w+)\)")
_NAME = re.compile(r"\w+")
# GROUP BY takes NULL for equal to NULL, a join does not; IN does where the setting `NULL_IN` says so.
NULL_IN = " SETTINGS transform_null_in = 1"
_LACKING = """
WITH asked AS (SELECT KEYS, VERSION AS _newest FROM (SELECT *COMPUTED FROM WANTED))
SELECT count() AS lacking FROM (
    SELECT KEYS FROM (
        SELECT KEYS, _newest, 1 AS is_asked FROM asked
        UNION ALL SELECT KEYS, VERSION AS _newest, 0 AS is_asked FROM PLACE WHERE (KEYS) IN (SELECT KEYS FROM asked)
    )
    GROUP BY KEYS HAVING max(is_asked) AND (min(is_asked) OR maxIf(_newest, NOT is_asked) < maxIf(_newest, is_asked))
)
"""


class Column(NamedTuple):
    """A column as the table declares it. expression: of its default, empty where it has none."""

    kind: str
    expression: str


class Identity(NamedTuple):
    """What of the rows is asked for. inputs: the columns that are sent, with their types; computed: those made of them."""

    keys: tuple[str, ...]
    version: str
    inputs: dict[str, str]
    computed: dict[str, str]

    def sql(self, place: str, wanted: str) -> str:
        """The query, to be asked with `NULL_IN`, that counts what `place` lacks of the identities in the table `wanted`.

        An identity that is there in an older version only counts as lacking.
        """
        computed = "".join(f", {expression} AS {name}" for name, expression in self.computed.items())
        return (
            _LACKING.replace("KEYS", ", ".join(self.keys))
            .replace("VERSION", self.version)
            .replace("COMPUTED", computed)
            .replace("PLACE", place)
            .replace("WANTED", wanted)
        )


class Schema(NamedTuple):
    """A table: its sorting key, the column of the version (None: the last row inserted stands), its columns by name."""

    keys: tuple[str, ...]
    version: str | None
    columns: dict[str, Column]

    def identity(self, sent: Sequence[str]) -> Identity:
        """What can be asked of rows of which the columns `sent` are told; the store computes the others, as it did then."""
        inputs: dict[str, str] = {}
        computed: dict[str, str] = {}
        for name in self._leaned_on((*self.keys, *((self.version,) if self.version else ())), sent):
            column = self.columns[name]
            if name in sent:
                inputs[name] = column.kind
            else:
                value = column.expression or f"defaultValueOfTypeName('{_quoted(column.kind)}')"
                computed[name] = f"CAST({value}, '{_quoted(column.kind)}')"
        return Identity(self.keys, self.version or "0", inputs, computed)

    def _leaned_on(self, names: Sequence[str], sent: Sequence[str]) -> Iterator[str]:
        """The columns, and all that the expressions of those that are not sent name, each once."""
        seen: set[str] = set()
        waiting = [*names]
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            yield name
            if name in sent:
                continue
            waiting += [each for each in _NAME.findall(self.columns[name].expression) if each in self.columns]


class Schemas:
    """The schemas of the live database, read when first asked for, and again for a table that is not among them.

    A table that is changed while the sink runs is known as it was.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._read: dict[str, Schema] = {}

    def __getitem__(self, table: str) -> Schema:
        """The schema of a table. Raises KeyError, StoreUnavailable, StatementRefused."""
        if table not in self._read:
            self._read = read_schemas(self._tables)
        return self._read[table]


def read_schemas(tables: Tables) -> dict[str, Schema]:
    """The schema of every table of the live database, by name."""
    columns: dict[str, dict[str, Column]] = {}
    engines: dict[str, tuple[str, str]] = {}
    for table, sorting_key, engine, name, kind, expression in tables.query_rows(_COLUMNS).rows:
        columns.setdefault(table, {})[name] = Column(kind, expression)
        engines[table] = (sorting_key, engine)
    return {table: _schema(*engines[table], columns[table]) for table in engines}


def _schema(sorting_key: str, engine: str, columns: Mapping[str, Column]) -> Schema:
    keys = tuple(key for key in sorting_key.removeprefix("(").removesuffix(")").split(", ") if key)
    version = _VERSION.match(engine)
    return Schema(keys, version[1] if version else None, dict(columns))


def _quoted(kind: str) -> str:
    return kind.replace("\\", "\\\\").replace("'", "\\'")
