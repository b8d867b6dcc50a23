"""Events and made-up tapes in a store, as the sink would have written them, and rows of its views."""

import itertools
from collections.abc import Sequence
from typing import Any

from tape import Tape

from sinks import rows
from sinks.tables import Tables
from stream_processors.replay import Part
from topics.catalog import RAW_KALSHI_WS
from topics.codec import encode
from topics.log import Record

_numbers = itertools.count()


def store(tables: Tables, made: Tape) -> list[Record]:
    """Fold the tape in one go and insert its bronze, its facts and its rows; returns the records of facts and rows."""
    part = Part(range(made.partitions), made.partitions)
    outputs = [record for number, log in enumerate(made.logs) for record in part.raw(RAW_KALSHI_WS, number, log)]
    insert(tables, [*made.records(), *outputs])
    return outputs


def insert(tables: Tables, records: Sequence[Record], code_version: str = "0.1.0") -> None:
    """Insert records into every table that they fill."""
    sinkable = [record for record in records if record.topic != "fact.book"]
    for table, arrow in rows.build(sinkable, topic_ids={}, code_version=code_version).items():
        tables.insert_arrow(table, arrow, f"{table}:{next(_numbers)}")


def insert_each(tables: Tables, *records: Record) -> None:
    """Insert each record by itself, so that each is a part of its own."""
    for record in records:
        insert(tables, [record])


def records(topic: str, *events: Any) -> list[Record]:
    """The records that carry events, or their bytes, from offset 0 on."""
    values = [event if isinstance(event, bytes) else encode(event) for event in events]
    return [Record(topic, 0, offset, 0, None, (), value) for offset, value in enumerate(values)]


def read(tables: Tables, columns: str, view: str, order: str = "1") -> list[tuple[Any, ...]]:
    """Rows of a view."""
    return [tuple(row) for row in tables.query_rows(f"SELECT {columns} FROM tapefold_api.{view} ORDER BY {order}").rows]


def empty(tables: Tables) -> None:
    """Take all rows away, and the tokens of their inserts: both are in tables that ever had a part, and only there."""
    names = tables.query_rows(
        "SELECT DISTINCT table FROM system.parts WHERE database = 'tapefold' AND table != 'schema_migrations'"
    )
    for (name,) in names.rows:
        tables.command(f"TRUNCATE TABLE tapefold.{name} SYNC")
