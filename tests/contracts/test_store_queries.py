"""Settings, parameters, errors, plain HTTP and concurrency, on the embedded store and on a ClickHouse server alike."""

# the expected value stands on the left, by the rule of this repo

from __future__ import annotations

import datetime as dt
import http.client
import json
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData

if TYPE_CHECKING:
    from tests.contracts.conftest import Store, Table

ROWS = 1000


def arrow_rows(count: int = ROWS, first: int = 0) -> pa.Table:
    """Rows with a from `first` on."""
    numbers = range(first, first + count)
    return pa.table({"a": pa.array(numbers, pa.uint64()), "b": [f"x;{number}" for number in numbers]})


class TestSettings:
    """Settings and databases of one query."""

    def test_same_token_is_inserted_once(self, table: Table) -> None:
        """Other rows under a deduplication token that was seen before are dropped; under a new one they stay."""
        for first, token in [(0, "k-[0,1000)"), (5000, "k-[0,1000)"), (1000, "it's another")]:
            settings = {"insert_deduplication_token": token, "async_insert": 0}
            table.client.insert_arrow(table.name, arrow_rows(first=first), settings=settings)
        assert (2 * ROWS, sum(range(2 * ROWS))) == table.found()

    def test_async_insert_is_there_when_acknowledged(self, table: Table) -> None:
        """An asynchronous insert that is waited for can be read at once."""
        settings = {"async_insert": 1, "wait_for_async_insert": 1}
        table.client.insert(table.name, [[5, "x"]], column_names=["a", "b"], settings=settings)
        assert (1, 5) == table.found()

    def test_setting_holds_for_one_query(self, client: Client) -> None:
        """A setting of one query is not seen by the next on the same connection."""
        query = "SELECT getSetting('max_block_size')"
        before = client.command(query)
        assert 777 == client.command(query, settings={"max_block_size": 777})
        assert before == client.command(query)

    def test_unknown_setting(self, store: Store) -> None:
        """A setting that does not exist is UNKNOWN_SETTING, and the query does not run."""
        reply = store.ask(query="SELECT 1", no_such_setting="1")
        assert (404, "115") == (reply.status, reply.code)
        assert reply.body.startswith(b"Code: 115. DB::Exception: ")

    def test_database(self, store: Store, client: Client) -> None:
        """The parameter `database` is the default database of the query; one that is not there is code 81."""
        assert b"system\n" == store.ask(query="SELECT currentDatabase()", database="system").body
        reply = store.ask(query="SELECT 1", database="not_there")
        assert (404, "81") == (reply.status, reply.code)
        assert "default" == client.command("SELECT currentDatabase()")


class TestParameters:
    """What {name:Type} in a query stands for."""

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("String", 'it\'s "quoted" \\ back\ttab\nline\r`tick`'),
            ("String", "nul\0here ünï 漢字 🌡"),
            ("String", ""),
            ("Int64", -(2**63)),
            ("UInt128", 2**127),
            ("Float64", 0.1),
            ("Decimal(18, 6)", Decimal("12.345678")),
            ("Date", dt.date(2026, 2, 28)),
            ("DateTime64(6, 'UTC')", dt.datetime(2026, 2, 28, 1, 2, 3, 456_789, dt.UTC)),
            ("Array(String)", ["a", "it's", "b,c", "tab\there", ""]),
            ("Array(UInt8)", []),
            ("Nullable(String)", None),
        ],
    )
    def test_value_comes_back(self, client: Client, kind: str, value: Any) -> None:
        """A typed parameter comes back as the value that was bound."""
        found = client.query(f"SELECT {{p:{kind}}}", parameters={"p": value}, query_tz="UTC").result_rows[0][0]
        if isinstance(value, dt.datetime):
            found = found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found
        assert value == found

    def test_long_parameters(self, client: Client) -> None:
        """Parameters too long for a URL, which the client sends as a form, come back."""
        value = ["it's; 漢字"] * 20_000
        assert value == client.query("SELECT {p:Array(String)}", parameters={"p": value}).result_rows[0][0]

    def test_missing_parameter(self, client: Client) -> None:
        """A parameter that was not given is UNKNOWN_QUERY_PARAMETER."""
        with pytest.raises(DatabaseError) as caught:
            client.raw_query("SELECT {p:UInt8}")
        assert 456 == caught.value.code

    def test_external_table(self, client: Client) -> None:
        """A table sent with a query can be read by it."""
        table = ExternalData(file_name="ext.csv", data=b"1,x\n2,y\n", fmt="CSV", structure=["a UInt8", "b String"])
        rows = client.query("SELECT sum(a), max(b) FROM ext", external_data=table).result_rows
        assert [(3, "y")] == rows


class TestErrors:
    """What a client is told of a failure."""

    @pytest.mark.parametrize(
        ("query", "code", "status", "name"),
        [
            ("SELECT * FROM not_there", 60, 404, "UNKNOWN_TABLE"),
            ("SELECT nope", 47, 404, "UNKNOWN_IDENTIFIER"),
            ("SELEC 1", 62, 400, "SYNTAX_ERROR"),
            ("SELECT 1; SELECT 2", 62, 400, "SYNTAX_ERROR"),
            ("SELECT 1 FORMAT NoSuch", 73, 404, "UNKNOWN_FORMAT"),
            ("SELECT throwIf(1)", 395, 500, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
            ("SELECT sleepEachRow(0.1) FROM numbers(20) SETTINGS max_block_size = 1, max_execution_time = 0.3", 159, 408, "TIMEOUT_EXCEEDED"),
            ("SELECT 1 INTO OUTFILE '/tmp/tapefold_never'", 358, 500, "INTO_OUTFILE_NOT_ALLOWED"),
        ],
    )  # fmt: skip
    def test_code_status_and_name(self, store: Store, query: str, code: int, status: int, name: str) -> None:
        """A failed query is told by HTTP status, code and name."""
        reply = store.ask(body=query.encode())
        assert (status, str(code)) == (reply.status, reply.code)
        assert reply.body.startswith(f"Code: {code}. DB::Exception: ".encode())
        assert f"({name})" in reply.body.decode()

    def test_failure_within_a_result(self, client: Client) -> None:
        """A query that fails after its result has begun fails for the client that reads it."""
        query = "SELECT throwIf(number = 3000000) FROM numbers(4000000)"
        with pytest.raises(Exception, match="395"), client.query_row_block_stream(query) as blocks:
            for _ in blocks:
                pass
        assert 1 == client.command("SELECT 1")

    def test_get_changes_nothing(self, store: Store, table: Table) -> None:
        """A query by GET can not write."""
        reply = store.ask(query=f"INSERT INTO {table.name} VALUES (1, 'x')")
        assert (500, "164") == (reply.status, reply.code)
        assert (0, 0) == table.found()


class TestPlainHttp:
    """The interface as curl sees it."""

    def test_health(self, store: Store) -> None:
        """/ping and / without a query say Ok; a path that is not there is 404."""
        assert (200, b"Ok.\n") == store.ask("/ping").status_and_body
        assert (200, b"Ok.\n") == store.ask().status_and_body
        assert 404 == store.ask("/no/such/path").status

    def test_query_in_url(self, store: Store) -> None:
        """A query in the URL of a GET is answered as TabSeparated, or in the format asked for."""
        assert (200, b"1\tx\n") == store.ask(query="SELECT 1, 'x'").status_and_body
        assert b'{"a":1}\n' == store.ask(query="SELECT 1 AS a", default_format="JSONEachRow").body
        assert b"1\n" == store.ask(query="SELECT 1 FORMAT CSV", default_format="JSONEachRow").body

    def test_query_in_both(self, store: Store) -> None:
        """The body goes on with the query of the URL."""
        assert b"42\n" == store.ask(body=b"+ 2", query="SELECT 40").body

    def test_headers(self, store: Store) -> None:
        """An answer names its query, format and timezone, and sums up what was done."""
        query = "SELECT number FROM numbers(7) FORMAT CSV"
        headers = store.ask(query=query, query_id="q-1", wait_end_of_query="1").headers
        assert ("q-1", "CSV") == (headers["X-ClickHouse-Query-Id"], headers["X-ClickHouse-Format"])
        assert headers["X-ClickHouse-Timezone"]
        assert ("7", "7") == tuple(
            json.loads(headers["X-ClickHouse-Summary"])[name] for name in ("read_rows", "result_rows")
        )

    def test_long_query_text(self, client: Client) -> None:
        """A query of megabytes runs if max_query_size allows it, and is a syntax error if not."""
        query = f"SELECT length('{'x' * 3_000_000}')"
        assert 3_000_000 == client.command(query, settings={"max_query_size": 10_000_000})
        with pytest.raises(DatabaseError) as caught:
            client.command(query)
        assert 62 == caught.value.code

    def test_one_connection_many_requests(self, store: Store) -> None:
        """A connection is kept over answers, errors and chunked bodies."""
        connection = http.client.HTTPConnection(store.parts.hostname or "", store.parts.port, timeout=30)
        sockets = set()
        for query, status in [
            (b"SELECT 1", 200),
            (b"SELECT nope", 404),
            (b"SELECT number FROM numbers(100000) FORMAT Native", 200),
        ] * 2:
            connection.request("POST", "/", iter([query[:3], query[3:]]), store.headers, encode_chunked=True)
            answer = connection.getresponse()
            answer.read()
            assert status == answer.status
            sockets.add(connection.sock)
        assert 1 == len(sockets)
        connection.close()


class TestConcurrency:
    """Many at once."""

    def test_many_clients(self, store: Store, table: Table) -> None:
        """Eight clients that insert and read at once lose no row, and see no count go down."""
        batches, faults = 6, []

        def work(worker: int) -> None:
            try:
                with store.connect() as client:
                    seen = 0
                    for batch in range(batches):
                        client.insert_arrow(table.name, arrow_rows(first=(worker * batches + batch) * ROWS))
                        count = int(str(client.command(f"SELECT count() FROM {table.name}")))
                        assert count >= max(seen, (batch + 1) * ROWS)
                        seen = count
            except BaseException as error:  # noqa: BLE001 -- told by the main thread
                faults.append(error)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [] == faults
        assert (8 * batches * ROWS, sum(range(8 * batches * ROWS))) == table.found()

    def test_results_are_not_mixed_up(self, store: Store) -> None:
        """Big results that are sent at once, in a format that is made as a whole, are each right to the last byte."""
        wrong = []

        def work(first: int) -> None:
            expected = b"".join(b"%d\n" % number for number in range(first, first + 200_000))
            for _ in range(10):
                query = f"SELECT number FROM numbers({first}, 200000) SETTINGS max_threads = 1 FORMAT TSV"
                wrong.extend([first] if expected != store.ask(body=query.encode()).body else [])

        threads = [threading.Thread(target=work, args=(worker * 1_000_000,)) for worker in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [] == wrong

    def test_slow_query_blocks_nobody(self, store: Store) -> None:
        """While a query takes its time, health checks and other queries are answered."""
        slow = threading.Thread(target=store.ask, kwargs={"query": "SELECT sleep(2)"})
        slow.start()
        for _ in range(20):
            assert b"Ok.\n" == store.ask("/ping").body
        assert b"1\n" == store.ask(query="SELECT 1").body
        assert slow.is_alive()
        slow.join()
