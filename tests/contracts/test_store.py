"""Each kind of insert keeps its rows: counted afterwards, on the embedded store and on a ClickHouse server alike."""

# the expected value stands on the left, by the rule of this repo

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import lz4.frame
import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

if TYPE_CHECKING:
    from tests.contracts.conftest import Store, Table

ROWS = 1000
SUM_OF_A = sum(range(ROWS))


def arrow_rows(count: int = ROWS, first: int = 0) -> pa.Table:
    """Rows with a from `first` on."""
    numbers = range(first, first + count)
    return pa.table({"a": pa.array(numbers, pa.uint64()), "b": [f"x;{number}" for number in numbers]})


def ipc(kind: Callable[..., Any], rows: pa.Table) -> bytes:
    """The rows as an Arrow file or stream of several batches."""
    sink = io.BytesIO()
    with kind(sink, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=300)
    return sink.getvalue()


def payload(format_name: str) -> bytes:
    """ROWS rows in the format."""
    if format_name in {"Arrow", "ArrowStream"}:
        return ipc(pa.ipc.new_file if format_name == "Arrow" else pa.ipc.new_stream, arrow_rows())
    if format_name == "Parquet":
        sink = io.BytesIO()
        pyarrow.parquet.write_table(arrow_rows(), sink)
        return sink.getvalue()
    return _row_payload(format_name)


def _row_payload(format_name: str) -> bytes:
    pairs = [(number, f"x;{number}") for number in range(ROWS)]
    if format_name == "RowBinary":
        return b"".join(a.to_bytes(8, "little") + bytes([len(b)]) + b.encode() for a, b in pairs)
    if format_name == "JSONEachRow":
        return b"".join(json.dumps({"a": a, "b": b}).encode() + b"\n" for a, b in pairs)
    if format_name == "CSV":
        text = io.StringIO()
        csv.writer(text).writerows(pairs)
        return text.getvalue().encode()
    if format_name == "Values":
        return ",".join(f"({a}, '{b}')" for a, b in pairs).encode()
    return b"".join(f"{a}\t{b}\n".encode() for a, b in pairs)


CODERS: dict[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "lz4": lambda data: bytes(lz4.frame.compress(data)),
    "zstd": zstandard.compress,
    "gzip": gzip.compress,
}
FORMATS = ["Arrow", "ArrowStream", "Parquet", "RowBinary", "JSONEachRow", "CSV", "TSV", "Values"]


@pytest.mark.parametrize("coding", list(CODERS))
class TestEachInsertKeepsItsRows:
    """Each way to insert, with each compression."""

    def test_insert_of_python_rows(self, store: Store, table: Table, coding: str | None) -> None:
        """Rows inserted as Python lists (Native) are all there, and their number is told."""
        with store.connect(coding or False) as client:
            done = client.insert(
                table.name, [[number, f"x;{number}"] for number in range(ROWS)], column_names=["a", "b"]
            )
        assert (ROWS, SUM_OF_A) == table.found()
        assert ROWS == done.written_rows

    def test_insert_arrow(self, store: Store, table: Table, coding: str | None) -> None:
        """Rows of an Arrow table are all there, and their number is told."""
        with store.connect(coding or False) as client:
            done = client.insert_arrow(table.name, arrow_rows())
        assert (ROWS, SUM_OF_A) == table.found()
        assert ROWS == done.written_rows

    @pytest.mark.parametrize("format_name", FORMATS)
    def test_statement_in_url(self, table: Table, format_name: str, coding: str | None) -> None:
        """Data in a chunked body whose statement stands in the URL is all inserted."""
        data = CODERS[coding](payload(format_name))
        pieces = (data[at : at + 1000] for at in range(0, len(data), 1000))
        table.client.raw_insert(table.name, ["a", "b"], pieces, fmt=format_name, compression=coding)
        assert (ROWS, SUM_OF_A) == table.found()

    @pytest.mark.parametrize("format_name", FORMATS)
    def test_statement_in_body(self, store: Store, table: Table, format_name: str, coding: str | None) -> None:
        """Data that follows its statement in the body is all inserted."""
        statement = f"INSERT INTO {table.name} (a, b) FORMAT {format_name}\n".encode()
        headers = {"Content-Encoding": coding} if coding else {}
        reply = store.ask(body=CODERS[coding](statement + payload(format_name)), headers=headers)
        assert (200, b"") == (reply.status, reply.body)
        assert (ROWS, SUM_OF_A) == table.found()

    def test_results_come_back(self, store: Store, coding: str | None) -> None:
        """A result is the same whatever coding brings it."""
        with store.connect(coding or False) as client:
            rows = client.query("SELECT number, toString(number) FROM numbers(100000)").result_rows
            assert [(0, "0"), (99_999, "99999"), 100_000] == [rows[0], rows[-1], len(rows)]
            assert 100_000 == client.query_arrow("SELECT number FROM numbers(100000)").num_rows
            with client.query_row_block_stream("SELECT number FROM numbers(300000)") as blocks:
                assert 300_000 == sum(len(block) for block in blocks)


class TestOtherInserts:
    """Inserts that are statements, none, big, or broken."""

    def test_values_in_a_command(self, table: Table) -> None:
        """INSERT ... VALUES as a command inserts its rows, semicolons in strings included."""
        table.client.command(f"INSERT INTO {table.name} VALUES (1, 'x;y'), (2, 'z')")
        assert (2, 3) == table.found()

    def test_values_from_parameters(self, table: Table) -> None:
        """Typed parameters stand for values of an INSERT."""
        table.client.command(
            f"INSERT INTO {table.name} VALUES ({{a:UInt64}}, {{b:String}})", parameters={"a": 7, "b": "it's"}
        )
        assert [(7, "it's")] == table.client.query(f"SELECT a, b FROM {table.name}").result_rows

    def test_insert_select(self, table: Table) -> None:
        """INSERT ... SELECT inserts what it selects."""
        table.client.command(f"INSERT INTO {table.name} SELECT number, 'k' FROM numbers(10)")
        assert (10, 45) == table.found()

    def test_values_of_megabytes(self, table: Table) -> None:
        """A text of VALUES far longer than max_query_size is inserted whole."""
        values = ",".join(f"({number}, '{'v;' * 30}')" for number in range(60_000))
        assert len(values) > 4_000_000
        table.client.command(f"INSERT INTO {table.name} VALUES {values}")
        assert (60_000, sum(range(60_000))) == table.found()

    def test_nothing_to_insert(self, table: Table) -> None:
        """Inserts of no rows succeed and leave the table empty."""
        table.client.insert(table.name, [], column_names=["a", "b"])
        table.client.insert_arrow(table.name, arrow_rows(0))
        table.client.raw_insert(table.name, ["a", "b"], b"", fmt="Native")
        assert (0, 0) == table.found()

    def test_big_insert_in_many_pieces(self, table: Table) -> None:
        """An insert of half a million rows in one request keeps them all."""
        table.client.insert_arrow(table.name, arrow_rows(500_000))
        assert (500_000, sum(range(500_000))) == table.found()

    @pytest.mark.parametrize("how", ["Arrow", "ArrowStream", "Parquet", "RowBinary", "JSONEachRow", "Values"])
    def test_cut_off_data_is_an_error(self, table: Table, how: str) -> None:
        """Data that ends too early is refused, and none of its rows stays."""
        with pytest.raises(DatabaseError):
            table.client.raw_insert(table.name, ["a", "b"], payload(how)[:-9], fmt=how)
        assert (0, 0) == table.found()

    @pytest.mark.parametrize("coding", ["lz4", "zstd", "gzip"])
    def test_cut_off_compression_is_an_error(self, table: Table, coding: str) -> None:
        """A compressed body that ends too early is refused, and none of its rows stays."""
        data = CODERS[coding](payload("ArrowStream"))
        with pytest.raises(DatabaseError):
            table.client.raw_insert(
                table.name, ["a", "b"], data[: len(data) // 2], fmt="ArrowStream", compression=coding
            )
        assert (0, 0) == table.found()

    def test_early_error_of_a_big_insert(self, client: Client) -> None:
        """A client that sends megabytes to a table that is not there reads the error, and can go on."""
        with pytest.raises(DatabaseError) as caught:
            client.insert_arrow("not_there", arrow_rows(300_000))
        assert 60 == caught.value.code
        assert 1 == client.command("SELECT 1")
