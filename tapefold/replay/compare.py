"""The tables of a generation against the live ones: which rows differ, and by which input first.

The store says what identifies a row (the sorting key) and what its event time is (the partition key), so a new table
takes part without a word here. Names in the SQL below are those that the store itself told.
"""

# ruff: noqa: S608  -- tables and columns cannot be bound; their names come from system.tables

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from sinks.tables import DATABASE, Tables
from tapefold.replay.pace import Window

SHOWN_MAX = 20
# Bronze and what is made of it alone, what people decided, the latest beat (of any batch), and journals: which revisions were published on
# the way depends on batch cuts.
_NOT_FOLDED = ("annotations", "raw_records", "beat_log", "beats")
_PLACES = ("_topic", "_partition", "_offset")
# Words of a refusal name the other telling, which depends on the order of arrival; who was refused, and why, does not.
_WORDS = {"dead": ("detail", "value_text", "received_at", "code_version")}
_OURS = {"dead": "stage IN ('ingest', 'fold')"}  # what the sink refused stands on no topic that is replayed


class Table(Struct, frozen=True):
    """A table that takes part. event: the column of its event time, None when it has none."""

    name: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    event: str | None


class Difference(Struct, frozen=True):
    """One row that is not the same on both sides; a side without the row is None. first_input: where they part."""

    table: str
    key: str
    live: dict[str, Any] | None
    replayed: dict[str, Any] | None
    first_input: str

    def __str__(self) -> str:
        lines = [f"{self.table} {self.key}"]
        if self.live is None or self.replayed is None:
            lines.append("  only in the replay" if self.live is None else "  only in the live table")
        else:
            for name, value in self.live.items():
                if value != self.replayed[name]:
                    lines.append(f"  {name}: live {value!r}, replayed {self.replayed[name]!r}")
        return "\n".join([*lines, f"  first differing input: {self.first_input}"])


Key = tuple[str, ...]  # the values of a table's keys as text
EVERYTHING: Window = (None, None)


def tables_of(store: Tables) -> list[Table]:
    """All tables that a replay fills, facts before rows."""
    found = store.query_rows(
        "SELECT t.name, t.sorting_key, t.partition_key, groupArray(c.name) FROM system.tables AS t"
        " INNER JOIN system.columns AS c ON c.database = t.database AND c.table = t.name"
        " WHERE t.database = {database:String} AND c.default_kind != 'MATERIALIZED'"
        " GROUP BY t.name, t.sorting_key, t.partition_key ORDER BY t.name = 'bars_1m', t.name",
        {"database": DATABASE},
    ).rows
    tables = []
    for name, sorting_key, partition_key, names in found:
        if name in _NOT_FOLDED or name.endswith("_journal") or "_offset" not in names:
            continue
        month = re.fullmatch(r"toYYYYMM\((\w+)\)", partition_key)
        content = sorted(set(names) - set(_PLACES) - set(_WORDS.get(name, ())))
        tables.append(
            Table(name, tuple(part.strip() for part in sorting_key.split(",")), tuple(content), month and month[1])
        )
    return tables


def count(store: Tables, database: str, table: Table, window: Window = EVERYTHING) -> tuple[int, str]:
    """Distinct rows of a table, and a hash of their content that no order changes."""
    ((rows, content),) = store.query_rows(
        f"SELECT count(), hex(groupBitXor(sipHash64(toString(tuple({', '.join(table.columns)})))))"
        f" FROM {database}.{table.name} FINAL WHERE {_where(table, window)}"
    ).rows
    return rows, content


def differing(
    store: Tables, database: str, table: Table, window: Window = EVERYTHING, among: str = "1"
) -> dict[Key, tuple[int, int]]:
    """Keys whose rows differ -> the hash of the live row and of the replayed one, 0 where there is none."""
    content = ", ".join(table.columns)
    named = [f"key{number}" for number in range(len(table.keys))]
    keys = ", ".join(f"toString({name}) AS {key}" for name, key in zip(table.keys, named, strict=True))
    names = ", ".join(named)

    def side(name: str, live: int) -> str:
        return (
            f"SELECT {live} AS live, {keys}, greatest(1, sipHash64(toString(tuple({content})))) AS content_hash"
            f" FROM {name}.{table.name} FINAL WHERE {_where(table, window)} AND ({among})"
        )

    found = store.query_rows(
        f"SELECT {names}, maxIf(content_hash, live = 1), maxIf(content_hash, live = 0)"
        f" FROM ({side(DATABASE, 1)} UNION ALL {side(database, 0)})"
        f" GROUP BY {names} HAVING count() != 2 OR min(content_hash) != max(content_hash) ORDER BY {names}"
    ).rows
    width = len(table.keys)
    return {tuple(row[:width]): (row[width], row[width + 1]) for row in found}


def difference(store: Tables, database: str, tables: Sequence[Table], table: Table, key: Key) -> Difference:
    """Both rows of a key side by side, and the first input in which the two folds part."""
    live, replayed = _row(store, DATABASE, table, key), _row(store, database, table, key)
    row = live or replayed or {}
    return Difference(
        table.name, _key_text(table, row), live, replayed, _first_input(store, database, tables, table, row)
    )


def _first_input(store: Tables, database: str, tables: Sequence[Table], table: Table, row: dict[str, Any]) -> str:
    if "cause_offset" in row:
        return f"{row['cause_topic']}-{row['cause_partition']} offset {row['cause_offset']}, which it was read from"
    if table.name != "bars_1m":
        return "unknown: the row names no cause"
    minute = f"toDateTime64('{row['minute']}', 9, 'UTC')"
    ticker = "'" + str(row["market_ticker"]).replace("\\", "\\\\").replace("'", "\\'") + "'"
    ends = f"event_at < {minute} + INTERVAL 1 MINUTE"
    inputs = {
        "trades": f"market_ticker = {ticker} AND event_at >= {minute} AND {ends}",
        "books": f"market_ticker = {ticker} AND {ends}",
    }
    places: list[tuple[str, int, int, str]] = []
    for other in (each for each in tables if each.name in inputs):
        for key in list(differing(store, database, other, among=inputs[other.name]))[:1_000]:
            found = _row(store, DATABASE, other, key) or _row(store, database, other, key) or {}
            place = (found["cause_topic"], int(found["cause_partition"]), int(found["cause_offset"]))
            places.append((*place, other.name))
    if not places:
        return "none: trades and books are the same, so the fold or its beats differ"
    topic, partition, offset, name = min(places)
    return f"{topic}-{partition} offset {offset} ({name})"


def _row(store: Tables, database: str, table: Table, key: Key) -> dict[str, Any] | None:
    condition = " AND ".join(f"toString({name}) = {{k{number}:String}}" for number, name in enumerate(table.keys))
    columns = ", ".join(f"toString({name})" for name in table.columns)
    answer = store.query_rows(
        f"SELECT {columns} FROM {database}.{table.name} FINAL WHERE {condition}",
        {f"k{number}": value for number, value in enumerate(key)},
    ).rows
    return dict(zip(table.columns, answer[0], strict=True)) if answer else None


def _key_text(table: Table, row: dict[str, Any]) -> str:
    return str(row["row_id"]) if "row_id" in row else "/".join(str(row.get(name, "?")) for name in table.keys)


def _where(table: Table, window: Window) -> str:
    conditions = [_OURS.get(table.name, "1")]
    if table.event is not None:
        for bound, sign in zip(window, (">=", "<"), strict=True):
            if bound is not None:
                conditions.append(f"{table.event} {sign} fromUnixTimestamp64Nano({bound}, 'UTC')")
    return " AND ".join(conditions)
