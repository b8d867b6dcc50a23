"""The parts of ClickHouse's HTTP interface that need neither a socket nor an engine: parameters, headers, rules.

https://clickhouse.com/docs/interfaces/http
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from tapefold.local.store.faults import StoreFault
from tapefold.local.store.forms import Part
from tapefold.local.store.statement import DEFAULT_FORMAT, plain_format

# Parameters that are not settings (HTTPHandler.cpp). `user` and `password` are taken from anybody: there are no users.
_NOT_SETTINGS = frozenset({
    "query", "database", "default_format", "query_id", "session_id", "session_timeout", "session_check",
    "close_session", "compress", "decompress", "wait_end_of_query", "buffer_size", "user", "password", "quota_key",
    "stacktrace", "role", "client_protocol_version",
})  # fmt: skip
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOOPBACK_HOST = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)

# chdb forms each block on its own; only of these formats the blocks joined are the whole.
STREAMED_FORMATS = frozenset({"Native", "RowBinary"})

_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
}
_BINARY_FORMATS = ("Native", "RowBinary", "Arrow", "Parquet", "ORC", "Avro", "Npy", "BSON", "MsgPack")


@dataclass(frozen=True)
class ExternalTable:
    """A table that a client sends with its query.

    name: its name in the query.
    format: format of its data.
    structure: its columns, such as "a UInt64, b String".
    content: its data.
    """

    name: str
    format: str
    structure: str
    content: bytes


@dataclass(frozen=True)
class Request:
    """What a client asks for, apart from the body.

    query: the SQL of the URL or the form; the body goes on with it.
    settings: settings of ClickHouse for this query only.
    params: values of {name:Type} in the query, escaped as in TabSeparated.
    database: name of the default database; None for the engine's.
    default_format: format of a result whose query names none.
    query_id: the client's own; None if it gave none.
    session_id: the client's session; sessions are not kept.
    readonly: whether it must change nothing (GET and HEAD).
    wait_end: whether the answer begins only when the query has ended.
    compress: whether the answer may be coded as Accept-Encoding says.
    externals: tables sent with the query.
    """

    query: bytes
    settings: Mapping[str, bytes]
    params: Mapping[str, bytes]
    database: str | None = None
    default_format: str = DEFAULT_FORMAT
    query_id: str | None = None
    session_id: str | None = None
    readonly: bool = False
    wait_end: bool = False
    compress: bool = False
    externals: tuple[ExternalTable, ...] = ()


@dataclass(frozen=True)
class Stats:
    """What a query did, as far as the engine tells; None where it does not.

    Rows and bytes read from storage, in the result, and written (materialized views included, repeats that were
    dropped as duplicates included: as on a server); elapsed_s in seconds.
    """

    read_rows: int | None = None
    read_bytes: int | None = None
    result_rows: int | None = None
    written_rows: int | None = None
    written_bytes: int | None = None
    elapsed_s: float | None = None


@dataclass
class Answer:
    """What a client gets.

    status: HTTP status.
    headers: without those of framing and coding.
    pieces: the body. What raises StoreFault meanwhile fails the answer in its midst.
    total_bytes: length of the body if it is known.
    """

    status: int
    headers: dict[str, str]
    pieces: Iterator[bytes | memoryview] = field(default_factory=lambda: iter(()))
    total_bytes: int | None = 0


def read_request(method: str, target: str, headers: Mapping[str, str], parts: list[Part] | None = None) -> Request:
    """Reads a request.

    target: path and query of the request line.
    parts: the form of the body; None if the body is none.
    Errors: StoreFault NOT_IMPLEMENTED (48) for the native compression and roles, SESSION_NOT_FOUND (372),
    BAD_ARGUMENTS (36) for a malformed setting or external table.
    """
    # latin-1 keeps each byte of a percent-encoded value, whatever it means.
    pairs = parse_qsl(urlsplit(target).query, keep_blank_values=True, encoding="latin-1")
    values = {name: value.encode("latin-1") for name, value in pairs}
    values |= {part.name: part.content for part in parts or [] if not part.is_file}
    files = [part for part in parts or [] if part.is_file]
    _refuse_unsupported(values)
    externals = tuple(_external(part, values) for part in files)
    described = {f"{table.name}_{what}" for table in externals for what in ("format", "types", "structure")}
    settings = {
        _setting(name): value
        for name, value in values.items()
        if name not in _NOT_SETTINGS and name not in described and not name.startswith("param_")
    }
    lowered = {name.lower(): value for name, value in headers.items()}
    database = _text(values, "database") or lowered.get("x-clickhouse-database")
    default_format = _text(values, "default_format") or lowered.get("x-clickhouse-format") or DEFAULT_FORMAT
    return Request(
        query=values.get("query", b""),
        settings=settings,
        params={_setting(name)[len("param_") :]: value for name, value in values.items() if name.startswith("param_")},
        database=database,
        default_format=default_format,
        query_id=_text(values, "query_id"),
        session_id=_text(values, "session_id"),
        readonly=method in {"GET", "HEAD"},
        wait_end=values.get("wait_end_of_query") == b"1",
        compress=values.get("enable_http_compression", b"0") in {b"1", b"true"},
        externals=externals,
    )


def _refuse_unsupported(values: Mapping[str, bytes]) -> None:
    for name in ("compress", "decompress"):
        if values.get(name, b"0") not in {b"", b"0", b"false"}:
            raise StoreFault(48, "NOT_IMPLEMENTED", f"The embedded store has no native compression ({name}=1)")
    if "role" in values:
        raise StoreFault(48, "NOT_IMPLEMENTED", "The embedded store has no roles")
    if values.get("session_check") == b"1":
        raise StoreFault(372, "SESSION_NOT_FOUND", "Session not found: the embedded store keeps no sessions")


def _external(part: Part, values: Mapping[str, bytes]) -> ExternalTable:
    structure = _text(values, f"{part.name}_structure")
    types = _text(values, f"{part.name}_types")
    if not structure and types:
        structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(_split_types(types), start=1))
    if not structure:
        raise StoreFault(
            36, "BAD_ARGUMENTS", f"Neither structure nor types of the external table {part.name} are given"
        )
    return ExternalTable(part.name, _text(values, f"{part.name}_format") or DEFAULT_FORMAT, structure, part.content)


def _split_types(types: str) -> list[str]:
    """Splits at the commas that stand in no parenthesis."""
    found, depth = [""], 0
    for sign in types:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    return [kind.strip() for kind in found]


def _setting(name: str) -> str:
    # The name goes into a SET statement as it is.
    if not _SETTING_NAME.fullmatch(name):
        raise StoreFault(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'")
    return name


def _text(values: Mapping[str, bytes], name: str) -> str | None:
    value = values.get(name)
    return value.decode(errors="surrogateescape") if value else None


def sql_string(value: bytes) -> bytes:
    """The value as a string literal of SQL."""
    return b"'" + value.replace(b"\\", b"\\\\").replace(b"'", b"\\'").replace(b"\0", b"\\0") + b"'"


def sql_name(name: str) -> bytes:
    """The name as an identifier of SQL."""
    quoted = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{quoted}`".encode(errors="surrogateescape")


def is_local_caller(headers: Mapping[str, str]) -> bool:
    """Whether a program of this machine speaks, and not a web page in its browser.

    There are no passwords, so a page could else send SQL to the loopback: by a form (its header Origin tells) or under
    a host name of its own that resolves to 127.0.0.1 (the header Host tells).
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    host = lowered.get("host", "localhost")
    origin = lowered.get("origin")
    return bool(_LOOPBACK_HOST.fullmatch(host)) and (
        origin is None or bool(_LOOPBACK_HOST.fullmatch(origin.partition("://")[2]))
    )


def content_type(format_name: str) -> str:
    """The header Content-Type for a result in the format."""
    if format_name.startswith(_BINARY_FORMATS):
        return "application/octet-stream"
    return _CONTENT_TYPES.get(plain_format(format_name), "text/plain; charset=UTF-8")


def summary(stats: Stats) -> str:
    """The header X-ClickHouse-Summary: what is known as strings, and nothing for what is not."""
    known = {
        "read_rows": stats.read_rows,
        "read_bytes": stats.read_bytes,
        "written_rows": stats.written_rows,
        "written_bytes": stats.written_bytes,
        "result_rows": stats.result_rows,
        "elapsed_ns": None if stats.elapsed_s is None else round(stats.elapsed_s * 1e9),
    }
    return json.dumps({name: str(value) for name, value in known.items() if value is not None})


def failure_in_midst(text: bytes, tag: str) -> bytes:
    """What ends a body whose query failed after the body had begun (ClickHouse 25.11 and later).

    tag: the header X-ClickHouse-Exception-Tag of the answer, by which a client knows the failure from data.
    """
    end = tag.encode()
    return b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (end, text, len(text), end)
