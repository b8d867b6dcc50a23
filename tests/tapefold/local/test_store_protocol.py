"""The pure parts of the embedded store: statements, parameters, forms, codings and errors."""

# the expected value stands on the left, by the rule of this repo

import gzip
import zlib

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tapefold.local.store.coding import PIECE_BYTES, choose_coding, decoded, encoder
from tapefold.local.store.faults import StoreFault
from tapefold.local.store.forms import Part, read_form
from tapefold.local.store.protocol import (
    Stats,
    failure_in_midst,
    is_local_caller,
    read_request,
    sql_name,
    sql_string,
    summary,
)
from tapefold.local.store.statement import Kind, read_statement


@pytest.mark.parametrize(
    ("text", "head", "format_name", "data"),
    [
        (b"INSERT INTO t FORMAT Native\n\x01\x02", b"INSERT INTO t ", "Native", b"\x01\x02"),
        (b"insert into t format CSV \t1,x", b"insert into t ", "CSV", b"1,x"),
        (b"INSERT INTO t FORMAT TSV\r\n\n1", b"INSERT INTO t ", "TSV", b"\n1"),
        (b"INSERT INTO t FORMAT RowBinary\n\n\x0a", b"INSERT INTO t ", "RowBinary", b"\n\n"),
        (b"INSERT INTO t (a, b) VALUES (1, ';')", b"INSERT INTO t (a, b) ", "Values", b" (1, ';')"),
        (b"INSERT INTO t SETTINGS a=1, b='x;y' FORMAT CSV\n1", b"INSERT INTO t SETTINGS a=1, b='x;y' ", "CSV", b"1"),
        (b"INSERT INTO values VALUES (1)", b"INSERT INTO values ", "Values", b" (1)"),
        (b"INSERT INTO format FORMAT CSV\n1", b"INSERT INTO format ", "CSV", b"1"),
        (b"INSERT INTO d.format FORMAT CSV\n1", b"INSERT INTO d.format ", "CSV", b"1"),
        (b"INSERT INTO `a FORMAT b`.t FORMAT CSV\n1", b"INSERT INTO `a FORMAT b`.t ", "CSV", b"1"),
        (
            b"/* FORMAT X */ INSERT -- VALUES\n INTO t FORMAT CSV\n1",
            b"/* FORMAT X */ INSERT -- VALUES\n INTO t ",
            "CSV",
            b"1",
        ),
        (
            b"INSERT INTO TABLE FUNCTION null('a Int') FORMAT CSV\n1",
            b"INSERT INTO TABLE FUNCTION null('a Int') ",
            "CSV",
            b"1",
        ),
        (b"INSERT INTO {t:Identifier} VALUES (1)", b"INSERT INTO {t:Identifier} ", "Values", b" (1)"),
        (b"INSERT INTO t FORMAT Native", b"INSERT INTO t ", "Native", b""),
    ],
)
def test_data_insert_is_split(text: bytes, head: bytes, format_name: str, data: bytes) -> None:
    """An INSERT is split exactly where its data begins."""
    found = read_statement(text)
    assert (Kind.DATA_INSERT, head, format_name) == (found.kind, found.sql, found.format)
    assert data == text[found.data_at :]


@given(st.binary(), st.sampled_from(["Native", "CSV", "ArrowStream"]))
def test_data_is_never_read(data: bytes, format_name: str) -> None:
    """Whatever the data is, not a byte of it is taken for SQL."""
    text = f"INSERT INTO t FORMAT {format_name}\n".encode() + data
    found = read_statement(text)
    assert (format_name, data) == (found.format, text[found.data_at :])


@pytest.mark.parametrize(
    ("text", "kind", "format_name"),
    [
        (b"SELECT 1 FORMAT JSON", Kind.SELECT, "JSON"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1;", Kind.SELECT, "JSON"),
        (b"SELECT ' FORMAT JSON'", Kind.SELECT, None),
        (b"SELECT 1 -- FORMAT JSON", Kind.SELECT, None),
        (b"SELECT format('{}', a) FROM (SELECT 1 AS a)", Kind.SELECT, None),
        (b"SELECT $$it's; FORMAT x$$, 2", Kind.SELECT, None),
        (b"WITH 1 AS x SELECT x FORMAT CSV", Kind.SELECT, "CSV"),
        (b"(SELECT 1)", Kind.SELECT, None),
        (b"INSERT INTO t SELECT 1 FORMAT Null", Kind.OTHER, "Null"),
        (b"INSERT INTO t WITH 1 AS values SELECT values", Kind.OTHER, None),
        (b"CREATE TABLE t (a UInt8) ENGINE = Memory", Kind.OTHER, None),
        (b"EXPLAIN SELECT 1", Kind.OTHER, None),
        (b"SELECT 1;;\n -- end", Kind.SELECT, None),
    ],
)
def test_other_statements(text: bytes, kind: Kind, format_name: str | None) -> None:
    """A statement without data is kept whole, and the format it asks for is known."""
    found = read_statement(text)
    assert (kind, format_name, text) == (found.kind, found.format, found.sql)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", 62),
        (b" -- nothing\n", 62),
        (b"SELECT 1; SELECT 2", 62),
        (b"INSERT INTO t FORMAT CSV;1", 62),
        (b"SELECT 1 INTO OUTFILE 'x'", 358),
        (b"INSERT INTO t FROM INFILE 'x' FORMAT CSV", 78),
        (b"INSERT INTO t SELECT * FROM input('a UInt8') FORMAT CSV\n1", 48),
    ],
)
def test_refused_statements(text: bytes, code: int) -> None:
    """What can not be run over HTTP is refused before it reaches the engine."""
    with pytest.raises(StoreFault) as caught:
        read_statement(text)
    assert code == caught.value.code


def test_request_is_read() -> None:
    """Settings, parameters and the interface's own words in a URL are told apart, byte by byte."""
    target = "/?query=SELECT+%27%ff%27&database=d&param_a=%E6%BC%A2%00&max_threads=2&compress=0&wait_end_of_query=1"
    request = read_request("GET", target, {"X-ClickHouse-Format": "CSV"})
    assert b"SELECT '\xff'" == request.query
    assert {"a": "漢\0".encode()} == request.params
    assert {"max_threads": b"2"} == request.settings
    assert ("d", "CSV", True, True) == (request.database, request.default_format, request.readonly, request.wait_end)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/?compress=1", 48),
        ("/?decompress=1", 48),
        ("/?role=r", 48),
        ("/?session_check=1&session_id=s", 372),
        ("/?a%20=1,%20b=2", 115),
        ("/?param_a%3D1=2", 115),
    ],
)
def test_refused_requests(target: str, code: int) -> None:
    """What the store has not is refused with a word, not ignored; a name that is none gets into no SQL."""
    with pytest.raises(StoreFault) as caught:
        read_request("POST", target, {})
    assert code == caught.value.code


def test_form_is_read() -> None:
    """The parts of a form keep their bytes, line ends included."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT 1\r\n--b\r\n'
        b'Content-Disposition: form-data; name="x"; filename="x.csv"\r\nContent-Type: a/b\r\n\r\n\r\n\x00--b\n\r\n--b--\r\n'
    )
    parts = read_form(body, "multipart/form-data; boundary=b")
    assert [Part("query", False, b"SELECT 1"), Part("x", True, b"\r\n\x00--b\n")] == parts
    with pytest.raises(StoreFault):
        read_form(body[:-6], "multipart/form-data; boundary=b")


def test_external_table_of_types() -> None:
    """Columns of an external table without names are _1, _2, ..."""
    request = read_request("POST", "/?x_types=UInt8,Decimal(18,%204)&x_format=CSV", {}, [Part("x", True, b"1,2")])
    assert ["_1 UInt8, _2 Decimal(18, 4)"] == [table.structure for table in request.externals]
    assert {} == request.settings


@pytest.mark.parametrize("coding", ["lz4", "zstd", "gzip", "deflate"])
@given(pieces=st.lists(st.binary(max_size=200)), cut=st.integers(1, 50))
def test_what_is_encoded_is_decoded(coding: str, pieces: list[bytes], cut: int) -> None:
    """An encoded body decodes to itself, in whatever pieces it comes."""
    code = encoder(coding)
    data = b"".join([*map(code.compress, pieces), code.flush()])
    assert b"".join(pieces) == b"".join(decoded((data[at : at + cut] for at in range(0, len(data), cut)), coding))


@pytest.mark.parametrize(
    ("coding", "compress"), [("lz4", lz4.frame.compress), ("zstd", zstandard.compress), ("gzip", gzip.compress)]
)
def test_several_frames_are_one_body(coding: str, compress: type[bytes]) -> None:
    """Frames one after another, as clickhouse-connect sends them, decode to all of their data; a cut one is an error."""
    code = compress(b"a" * 100) + compress(b"b" * 3_000_000)
    decoded_pieces = list(decoded([code], coding))
    assert b"a" * 100 + b"b" * 3_000_000 == b"".join(decoded_pieces)
    with pytest.raises(StoreFault):
        list(decoded([code[:-3]], coding))
    with pytest.raises(StoreFault):
        list(decoded([b"no such code"], coding))


@pytest.mark.parametrize(("coding", "compress"), [("lz4", lz4.frame.compress), ("gzip", gzip.compress)])
def test_decoded_in_bounded_pieces(coding: str, compress: type[bytes]) -> None:
    """A small body that unpacks to much is handed on in pieces of bounded size."""
    assert max(map(len, decoded([compress(bytes(20 * PIECE_BYTES))], coding))) <= PIECE_BYTES


def test_unknown_coding() -> None:
    """A coding that the store does not know is an error."""
    with pytest.raises(StoreFault, match="89"):
        decoded([zlib.compress(b"x")], "snappy")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip, zstd, lz4", "lz4"), ("gzip;q=1.0, br", "gzip"), ("lz4;q=0, zstd", "zstd"), ("br", None), ("", None)],
)
def test_coding_of_the_answer(accepted: str, coding: str | None) -> None:
    """The cheapest coding that the client accepts is taken."""
    assert coding == choose_coding(accepted)


def test_engine_errors_are_taken_apart() -> None:
    """Code, name and words of an engine's error are found, whatever stands around them."""
    said = (
        "Streaming insert finish failed: Code: 27. DB::Exception: Cannot (x) parse. (CANNOT_PARSE) (version 26.9.2.1)"
    )
    fault = StoreFault.of_engine(said)
    assert (27, "CANNOT_PARSE", "Cannot (x) parse.", 400) == (fault.code, fault.name, fault.message, fault.http_status)
    assert b"Code: 27. DB::Exception: Cannot (x) parse. (CANNOT_PARSE) (version 1.2 (chdb))\n" == fault.body("1.2")
    assert (1002, 500) == (StoreFault.of_engine("boom").code, StoreFault.of_engine("boom").http_status)
    assert len(StoreFault(62, "SYNTAX_ERROR", "x" * 9_000_000).body("1")) < 20_000


@pytest.mark.parametrize(
    ("headers", "local"),
    [
        ({}, True),
        ({"Host": "localhost:8123"}, True),
        ({"host": "127.0.0.1"}, True),
        ({"Host": "[::1]:1"}, True),
        ({"Host": "127.0.0.1", "Origin": "http://localhost:3000"}, True),
        ({"Host": "rebind.example.org:8123"}, False),
        ({"Host": "127.0.0.1.example.org"}, False),
        ({"Host": "127.0.0.1", "Origin": "https://example.org"}, False),
        ({"Host": "127.0.0.1", "Origin": "null"}, False),
    ],
)
def test_callers(headers: dict[str, str], local: bool) -> None:
    """Programs of this machine are known from web pages."""
    assert local == is_local_caller(headers)


def test_words_for_sql_and_headers() -> None:
    """Values are quoted for SQL, and what is not known is not in the summary."""
    assert rb"'it\'s \\ \0'" == sql_string(b"it's \\ \0")
    assert b"`a\\`b`" == sql_name("a`b")
    assert '{"written_rows": "3", "elapsed_ns": "1500000"}' == summary(Stats(written_rows=3, elapsed_s=0.0015))
    assert b"\r\n__exception__\r\nT\r\nCode\n5 T\r\n__exception__\r\n" == failure_in_midst(b"Code\n", "T")
