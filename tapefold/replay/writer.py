"""Writes what a replay makes into the tables of its generation; rows that only the store refuses go to `dead`, as live."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import pyarrow as pa

from sinks.protocol import REFUSED_MAX, TAKE_ANYTHING
from sinks.rows import Built, build_stretches
from sinks.sift import Place, refused_rows, sifted
from sinks.tables import StatementRefused, Tables
from topics.catalog import CODE_VERSION, FACT_BOOK
from topics.errors import Refused
from topics.log import Record, stretches_of

FLUSH_ROWS_MAX = 50_000  # as the sink: one block of ClickHouse


class Writer:
    """One worker's way into the tables of a generation.

    database: of the generation; filled: its tables that are to be filled. name: of the worker, so that its inserts are not
    taken for those of another. rows, refused: how many rows the store took, and how many it refused for what they hold.
    """

    def __init__(self, tables: Tables, database: str, filled: Collection[str], *, name: str) -> None:
        self.rows = 0
        self.refused = 0
        self._tables = tables
        self._database = database
        self._filled = frozenset(filled)
        self._name = name
        self._waiting: list[Record] = []
        self._inserts = 0

    def add(self, records: Iterable[Record]) -> None:
        """Take the outputs of a batch. Raises what `flush` raises."""
        self._waiting.extend(record for record in records if record.topic != FACT_BOOK)
        if len(self._waiting) >= FLUSH_ROWS_MAX:
            self.flush()

    def flush(self) -> None:
        """Insert what waits. Raises StoreUnavailable, StatementRefused; Refused where a table takes hardly any row."""
        built = build_stretches(stretches_of(self._waiting), topic_ids={}, code_version=CODE_VERSION)
        for table in sorted(built.tables.keys() & self._filled - TAKE_ANYTHING):
            built = self._written(built, table)
        for table in built.tables.keys() & self._filled & TAKE_ANYTHING:  # last: `dead` has what the others refused
            self._insert(table, built.tables[table], self._token(table))
            self.rows += len(built.tables[table])
        self._waiting = []

    def _written(self, built: Built, table: str) -> Built:
        """Write the rows of one table; returns what is left to write, with a row of `dead` for each that was refused."""
        rows, token = built.tables[table], self._token(table)
        try:
            self._insert(table, rows, token)
        except StatementRefused as error:
            if not error.is_of_rows:
                raise
        else:
            self.rows += len(rows)
            return built
        refused = refused_rows(lambda part, named: self._insert(table, part, named), rows, token, REFUSED_MAX)
        if len(refused) > REFUSED_MAX:
            raise Refused(
                f"{table}: expected a table that takes our rows, was one that refuses more than {REFUSED_MAX:,} at once;"
                " compare it with `tapefold migrate` on an empty store"
            )
        self.rows += len(rows) - len(refused)
        self.refused += len(refused)
        return sifted(built, table, refused, self._records_at, CODE_VERSION)[0] if refused else built

    def _insert(self, table: str, rows: pa.Table, token: str) -> None:
        self._tables.insert_arrow(table, rows, token, database=self._database)

    def _token(self, table: str) -> str:
        self._inserts += 1
        return f"{table}:{self._name}:{self._inserts}"

    def _records_at(self, places: Sequence[Place]) -> Mapping[Place, Record]:
        wanted = set(places)
        return {record[:3]: record for record in self._waiting if record[:3] in wanted}
