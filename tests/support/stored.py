"""A made-up tape in a store, as the sink would have written it."""

import itertools
from collections.abc import Sequence

from tape import Tape

from sinks import rows
from sinks.tables import Tables
from stream_processors.replay import Part
from topics.catalog import RAW_KALSHI_WS
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


def empty(tables: Tables) -> None:
    """Take all rows away."""
    names = tables.query_rows(
        "SELECT name FROM system.tables WHERE database = 'tapefold' AND name != 'schema_migrations'"
    )
    for (name,) in names.rows:
        tables.command(f"TRUNCATE TABLE tapefold.{name} SYNC")
