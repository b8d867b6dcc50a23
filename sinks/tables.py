"""ClickHouse. The only module that imports clickhouse_connect.

The driver re-sends an INSERT by itself when the peer closes the connection (clickhouse-connect 1.12,
driver/_backend/http_sync.py), so every insert here carries a deduplication token.
"""

import contextlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import clickhouse_connect
import pyarrow as pa
import pyarrow.ipc
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.external import ExternalData

from topics.errors import TapefoldError, Unavailable

DATABASE = "tapefold"
TOO_MANY_PARTS = 252
_CONNECT_TIMEOUT_S = 5
_ANSWER_TIMEOUT_S = 120
_INSERT_SETTINGS: Mapping[str, Any] = {
    "async_insert": 0,
    "wait_for_async_insert": 1,
    "insert_deduplicate": 1,
    "max_partitions_per_insert_block": 0,  # of any number of months: anyone may stamp a record with anything
    "input_format_null_as_default": 0,  # what is missing is refused, never told as a default
}
_INSERT_UNLESS = (
    "INSERT INTO PLACE (COLUMNS) SELECT COLUMNS FROM sent WHERE (SELECT count() FROM PLACE WHERE FOUND) = 0"
)
# Not the statement's fault: overload, time, memory, disk, network, an insert whose end nobody knows.
_PASSING = frozenset({159, 160, 202, 209, 210, 241, 242, 243, TOO_MANY_PARTS, 279, 319, 425, 999})

# Of what single rows hold. Not among them: what a body that was cut short gives (27, 32, 33, 117), and what names, types of
# columns, rights or the statement itself are refused by (16, 36, 43, 44, 47, 60, 62, 81, 497, 516 and so on).
_OF_ROWS = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        25,  # CANNOT_PARSE_ESCAPE_SEQUENCE
        26,  # CANNOT_PARSE_QUOTED_STRING
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        128,  # TOO_LARGE_ARRAY_SIZE
        131,  # TOO_LARGE_STRING_SIZE
        153,  # ILLEGAL_DIVISION
        190,  # SIZES_OF_ARRAYS_DONT_MATCH
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        376,  # CANNOT_PARSE_UUID
        395,  # FUNCTION_THROW_IF_VALUE_IS_NON_ZERO
        407,  # DECIMAL_OVERFLOW
        467,  # CANNOT_PARSE_BOOL
        469,  # VIOLATED_CONSTRAINT
        675,  # CANNOT_PARSE_IPV4
        676,  # CANNOT_PARSE_IPV6
        691,  # UNKNOWN_ELEMENT_OF_ENUM
    }
)


class StoreUnavailable(Unavailable):
    """The store did not answer, or not now. code: ClickHouse's number, None when no answer came at all.

    After an insert the result is unknown: the rows may be there, in part, or come yet.
    """

    def __init__(self, detail: str, code: int | None = None) -> None:
        super().__init__("the store", detail)
        self.code = code


class StatementRefused(TapefoldError):
    """The store refused a statement; it stays refused until the statement or the schema changes. code: its number."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    @property
    def is_of_rows(self) -> bool:
        """Whether it is for what single rows hold, so that the others would be taken."""
        return self.code in _OF_ROWS

    def __str__(self) -> str:
        return f"the store refused the statement (code {self.code}): {self.detail}"


class Rows(NamedTuple):
    """An answer: column names, and rows of Python values. datetime ends at microseconds; `query_arrow` does not."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


class Beside(NamedTuple):
    """A table that is sent with a query. kinds: ClickHouse's types of its columns."""

    rows: pa.Table
    kinds: Sequence[str]


class Unless(NamedTuple):
    """What keeps an insert from being made. found: a condition that rows of the table meet, with its parameters.

    kinds: ClickHouse's types of the columns that are sent.
    """

    found: str
    parameters: Mapping[str, Any]
    kinds: Sequence[str]


class Tables:
    """A ClickHouse store at `url` (http or https). Connects when first used, and again after an error.

    compress: lz4 on the wire; worth it for a store on another machine only.
    """

    def __init__(self, url: str, *, user: str = "default", password: str = "", compress: bool = False) -> None:
        self.url = url
        self._user = user
        self._password = password
        self._compress = compress
        self._lock = threading.Lock()
        self._client: Client | None = None

    def insert_arrow(
        self,
        table: str,
        rows: pa.Table,
        token: str,
        database: str = DATABASE,
        *,
        distinct: bool = False,
        unless: Unless | None = None,
    ) -> int | None:
        """Insert into `<database>.<table>`; returns the rows that the store says it wrote, None when it does not say.

        distinct: no two of the rows replace each other, and the store need not look: measured, that is half of its work.
        unless: looked for by the store itself, in the same statement; where it stands nothing is written.
        The same token within the table's window is written once. Raises StoreUnavailable, StatementRefused.
        """
        settings = {**_INSERT_SETTINGS, "insert_deduplication_token": token, "optimize_on_insert": int(not distinct)}
        try:
            if unless is not None:
                self._insert_unless(f"{database}.{table}", rows, unless, settings)
                return None
            summary = self._connected().insert_arrow(table, rows, database=database, settings=settings)
        except ClickHouseError as error:
            raise self._failure(error) from error
        written = summary.summary.get("written_rows")
        return None if written is None else int(written)

    def _insert_unless(self, place: str, rows: pa.Table, unless: Unless, settings: Mapping[str, Any]) -> None:
        named = _INSERT_UNLESS.replace("COLUMNS", ", ".join(rows.column_names))
        self._connected().command(
            named.replace("PLACE", place).replace("FOUND", unless.found),
            parameters=dict(unless.parameters),
            settings=dict(settings),
            external_data=_external({"sent": Beside(rows, unless.kinds)}),
        )

    def query_rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """The answer to one query; `parameters` are bound by the store ({name:Type})."""
        try:
            result = self._connected().query(sql, parameters=dict(parameters or {}))
        except ClickHouseError as error:
            raise self._failure(error) from error
        return Rows(tuple(result.column_names), result.result_rows)

    def query_arrow(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """The answer to one query as an Arrow table."""
        try:
            return self._connected().query_arrow(sql, parameters=dict(parameters or {}))
        except ClickHouseError as error:
            raise self._failure(error) from error

    def query_beside(self, sql: str, besides: Mapping[str, Beside]) -> Rows:
        """The answer to a query that may read `besides` as tables of their names.

        They travel beside the query, so their length is not bound by that of a statement.
        """
        try:
            result = self._connected().query(sql, external_data=_external(besides) if besides else None)
        except ClickHouseError as error:
            raise self._failure(error) from error
        return Rows(tuple(result.column_names), result.result_rows)

    def query_bytes(self, sql: str, form: str, parameters: Mapping[str, Any] | None = None) -> bytes:
        """The answer to one query in ClickHouse's output format `form`, for example `ArrowStream`."""
        try:
            return self._connected().raw_query(sql.strip().rstrip(";"), dict(parameters or {}), fmt=form)
        except ClickHouseError as error:
            raise self._failure(error) from error

    def query_text(self, sql: str, form: str) -> str:
        """The answer to one query as text, in a format such as `PrettyCompact`, `JSONEachRow`, `CSVWithNames`."""
        return self.query_bytes(sql, form).decode("utf-8", "backslashreplace")

    def command(self, sql: str) -> None:
        """Run one statement that has no answer."""
        try:
            self._connected().command(sql)
        except ClickHouseError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(ClickHouseError):
                client.close()

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                address = urlsplit(self.url)
                self._client = clickhouse_connect.get_client(
                    interface=address.scheme,
                    host=address.hostname or "127.0.0.1",
                    port=address.port or (8443 if address.scheme == "https" else 8123),
                    username=self._user,
                    password=self._password,
                    compress=self._compress,
                    connect_timeout=_CONNECT_TIMEOUT_S,
                    send_receive_timeout=_ANSWER_TIMEOUT_S,
                    autogenerate_session_id=False,  # a session forbids statements side by side
                )
            return self._client

    def _failure(self, error: ClickHouseError) -> StoreUnavailable | StatementRefused:
        code = getattr(error, "code", None)
        if code is None:
            self.close()  # the next use connects anew
        if code is None or code in _PASSING:
            return StoreUnavailable(f"{self.url}: {error}", code)
        return StatementRefused(code, str(error))


def _external(besides: Mapping[str, Beside]) -> ExternalData:
    """The tables as clickhouse-connect sends them."""
    data = ExternalData()
    for name, (rows, kinds) in besides.items():
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        structure = [f"{column} {kind}" for column, kind in zip(rows.column_names, kinds, strict=True)]
        data.add_file(file_name=name, data=sink.getvalue().to_pybytes(), fmt="ArrowStream", structure=structure)
    return data
