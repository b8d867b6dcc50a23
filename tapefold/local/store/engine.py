"""chdb behind a few calls; the only module that imports it.

One engine serves one folder in one process. Each request has a connection of its own (0.35 ms): settings,
parameters, the current database and temporary tables end with it, and connections run side by side. chdb gives up
the interpreter's lock while it works.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import chdb

from tapefold.local.store.faults import StoreFault
from tapefold.local.store.protocol import Stats, sql_name, sql_string

# What chdb sets otherwise than a server: it would take "SELEC" for a column.
_AS_SERVER = {"implicit_select": b"0"}

_SET_BYTES_MAX = 200_000  # below the default of max_query_size

# chdb 26.9 acknowledges a streamed insert whose rows the table itself refuses (252 TOO_MANY_PARTS, 469 VIOLATED_CONSTRAINT):
# only its counters show that it failed. One of another connection at the same time counts as well; its end is unknown then.
_FAILED = 0  # no error has this code
_FAILED_INSERTS = "SELECT 0, value FROM system.events WHERE event = 'FailedInsertQuery'"
_COUNTERS = f"{_FAILED_INSERTS} UNION ALL SELECT code, value FROM system.errors"  # noqa: S608  # two constants
_ERRORS = "SELECT code, name, last_error_message FROM system.errors"


class _Failures:
    """What the counters said when the engine's sessions last asked; None from the next error on, which moves them."""

    def __init__(self) -> None:
        self.last: dict[int, int] | None = None


@contextmanager
def _faults() -> Iterator[None]:
    """Turns the errors of chdb, which are RuntimeErrors with a text, into StoreFaults."""
    try:
        yield
    except RuntimeError as error:
        raise StoreFault.of_engine(str(error)) from error


class Engine:
    """chdb on one folder; a context manager that closes it.

    folder: holds the data; created if missing. A second engine on it, in this process or another, is an error.
    version: ClickHouse's, such as "26.9.2.1". timezone: the engine's, such as "UTC".
    Errors: StoreFault if chdb can not open the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        # Held open, because chdb shuts down with its last connection.
        with _faults():
            self._keeper = chdb.connect(self._folder)
            said = self._keeper.query("SELECT version(), timezone()", "TabSeparated").bytes()
        self.version, self.timezone = said.decode().rstrip("\n").split("\t")
        self._keeper_lock = threading.Lock()
        self._failures = _Failures()

    def session(self) -> "Session":
        """A fresh connection, without anything that another has set."""
        with _faults():
            return Session(chdb.connect(self._folder), self._failures)

    def cancel_all(self) -> None:
        """Asks each query that runs to end; they fail with QUERY_WAS_CANCELLED (394)."""
        with self._keeper_lock, _faults():
            self._keeper.query("KILL QUERY WHERE query_id != queryID() ASYNC")

    def close(self) -> None:
        """Closes the folder in order. All sessions must be closed."""
        self._keeper.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Result:
    """The result of a statement that ran to its end, in the engine's own memory.

    content: the bytes. Valid as long as this object lives, not a moment longer: chdb's view does not keep them.
    stats: what was done.
    """

    def __init__(self, result: Any) -> None:
        self._owners = (result, result.get_memview())
        self.content: memoryview = self._owners[1].view() if result.size() else memoryview(b"")
        self.stats = Stats(
            read_rows=int(result.storage_rows_read()),
            read_bytes=int(result.storage_bytes_read()),
            result_rows=int(result.rows_read()),
            written_rows=int(result.rows_written()),
            written_bytes=int(result.bytes_written()),
            elapsed_s=float(result.elapsed()),
        )


class Session:
    """One connection for one request. Its calls raise StoreFault if the engine refuses or fails."""

    def __init__(self, connection: Any, failures: _Failures) -> None:
        self._connection = connection
        self._failures = failures

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            with _faults():
                yield
        except StoreFault:
            self._failures.last = None
            raise

    def configure(self, database: str | None, settings: Mapping[str, bytes], params: Mapping[str, bytes]) -> None:
        """Sets what holds for the statements that follow.

        params: values of {name:Type}, escaped as in TabSeparated.
        Errors, among others: UNKNOWN_DATABASE (81), UNKNOWN_SETTING (115).
        """
        items = {**_AS_SERVER, **settings}
        items |= {f"param_{name}": value for name, value in params.items()}
        assignments = b", ".join(
            name.encode(errors="surrogateescape") + b" = " + sql_string(value) for name, value in items.items()
        )
        with self._faults():
            if database is not None:
                self._connection.query(b"USE " + sql_name(database))
            if len(assignments) > _SET_BYTES_MAX:
                # On a server the limit holds for the query, not for the parameters that stand beside it.
                self._connection.query(b"SET max_query_size = %d" % (2 * len(assignments)))
                if "max_query_size" not in items:
                    assignments += b", max_query_size = DEFAULT"
            self._connection.query(b"SET " + assignments)

    def run(self, sql: bytes, default_format: str) -> Result:
        """Runs a statement to its end. Nothing of the result is copied.

        default_format: format of the result if the statement names none.
        """
        with self._faults():
            return Result(self._connection.query(sql, default_format))

    def stream(self, sql: bytes, format_name: str) -> Iterator[bytes]:
        """Runs a SELECT and gives its result block by block, each formed on its own. Closing it cancels the query."""
        with self._faults():
            blocks = self._connection.send_query(sql, format_name)
        try:
            while True:
                with self._faults():
                    block = blocks.fetch()
                if block is None:
                    return
                yield block.bytes()
        finally:
            blocks.close()

    def insert(self, head: bytes, format_name: str, pieces: Iterable[bytes], *, lasting: bool = True) -> Stats:
        """Inserts data that comes in pieces; all that was acknowledged is in the table when it returns.

        head: the statement up to its FORMAT or VALUES. lasting: False for a temporary table, which refuses nothing.
        If `pieces` raises or the data is bad, blocks that were full before stay, as on a server
        (setting min_insert_block_size_rows, about a million rows); of an insert below that nothing stays.
        """
        before = self._before() if lasting else {}
        with self._faults():
            inserter = self._connection.send_insert(head, format_name)
        finished = False
        try:
            for piece in pieces:
                if piece:
                    with self._faults():
                        inserter.append(piece)
            finished = True
            with self._faults():
                done = inserter.finish()
        finally:
            if not finished:
                self._failures.last = None
                with self._faults():
                    inserter.cancel()
        if lasting and self._counters(_FAILED_INSERTS).get(_FAILED) != before.get(_FAILED):
            self._failures.last = None
            after = self._counters(_COUNTERS)
            raise self._swallowed(grown={code for code, count in after.items() if count != before.get(code)})
        return Stats(
            written_rows=int(done.rows_written), written_bytes=int(done.bytes_written), elapsed_s=float(done.elapsed)
        )

    def _before(self) -> dict[int, int]:
        """The counters as they stand: asked for once, then as long as nothing fails. Each question costs a third of an insert."""
        if (last := self._failures.last) is None:
            last = self._failures.last = self._counters(_COUNTERS)
        return last

    def _counters(self, query: str) -> dict[int, int]:
        """How many inserts failed since the engine was opened, and how often each error came, by its code."""
        with self._faults():
            told = self._connection.query(query, "JSONCompactEachRow").bytes()
        return {int(code): int(count) for code, count in map(json.loads, told.splitlines())}

    def _swallowed(self, grown: set[int]) -> StoreFault:
        """What an insert failed by that chdb acknowledged; where several errors came meanwhile, nobody knows which it was."""
        with self._faults():
            told = self._connection.query(_ERRORS, "JSONCompactEachRow").bytes()
        errors = [each for each in map(json.loads, told.splitlines()) if int(each[0]) in grown]
        if len(errors) == 1:
            return StoreFault(int(errors[0][0]), errors[0][1], errors[0][2])
        return StoreFault(1002, "UNKNOWN_EXCEPTION", f"the insert failed by one of {errors}")

    def close(self) -> None:
        """Ends the connection, and with it whatever it set."""
        self._connection.close()
