"""Recorded bars of TWS: exports as CSV or NDJSON, dialogues, raw messages, and what ib_async printed.

A file rarely says all that a request would. What it leaves out is taken from the call (`Given`), the bar size
from the times themselves; nothing else is guessed, and what is still missing is refused by the parser, line by line.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from stream_processors.parsers.tws import values
from stream_processors.parsers.tws.lines import FIELD_BY_NAME
from tapefold.payloads.files import BOM, Payload, UnreadableFile, lines
from topics.catalog import H_COLUMNS, H_FORMAT, H_REQUEST, H_SERVER
from topics.codec import encode
from topics.errors import BadRecord
from topics.tws import BAR_SIZES_NS, TwsRequest, WhatToShow
from topics.units import NS_PER_MS

SUFFIXES = (".csv", ".csv.gz", ".json.gz", ".jsonl", ".jsonl.gz", ".txt", ".yaml.gz", ".yaml")

_SYMBOL_COLUMNS = ("instrument", "symbol", "ibsymbol")
_SIZES = {size_ns: name for name, size_ns in BAR_SIZES_NS.items()}
_PRINTED = re.compile(rb"(?:BarData|RealTimeBar)\(.*\)|Error \d+, reqId -?\d+: .*")
_RAW = re.compile(rb'\s*- raw: "(.*)"')
_RECORDED_AT = re.compile(rb"\s*recorded_at: (\S+) (\d\d:\d\d:\d\d)\S* \+00:00")
_SERVER = re.compile(rb"\s*server_version: (\d+)")
_CLIENT = re.compile(r"client req_(historical_bars|realtime_bars|historical_data) (\{.*\})")
_ERROR_TIME = "error_time_ms"


class Given(NamedTuple):
    """What the caller says of files that do not say it themselves. zone: an IANA name."""

    symbol: str | None = None
    zone: str | None = None
    what_to_show: WhatToShow | None = None


def payloads(path: Path, given: Given = Given()) -> Iterator[Payload]:  # noqa: B008  # a named tuple
    """The file's messages or lines. Raises UnreadableFile for a file of none of the known kinds."""
    texts = lines(path)
    first = next(texts, b"")
    read = next((read for begins, read in _KINDS if re.match(begins, first)), None)
    if read is None:
        raise UnreadableFile(f"{path}: expected bars as CSV with a header line, NDJSON, a dialogue or raw messages")
    return read(first, texts, given)


# --- tables: one bar a line -------------------------------------------------------------------------------------------


def _csv(first: bytes, texts: Iterator[bytes], given: Given) -> Iterator[Payload]:
    columns = first.removeprefix(BOM)
    names = [name.casefold().strip() for name in columns.decode("utf-8", "replace").split(",")]

    def row(line: bytes) -> dict[str, str]:
        return dict(zip(names, line.decode("utf-8", "replace").split(","), strict=False))

    return _table(texts, row, given, ((H_FORMAT, b"csv"), (H_COLUMNS, columns)))


def _ndjson(first: bytes, texts: Iterator[bytes], given: Given) -> Iterator[Payload]:
    def row(line: bytes) -> dict[str, str]:
        try:
            return {str(name).casefold(): str(value) for name, value in msgspec.json.decode(line, type=dict).items()}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}

    return _table(_chain(first, texts), row, given, ((H_FORMAT, b"json"),))


def _table(
    texts: Iterator[bytes],
    row: Callable[[bytes], dict[str, str]],
    given: Given,
    headers: tuple[tuple[str, bytes], ...],
) -> Iterator[Payload]:
    rows = list(texts)
    starts = [_start_ns(_named(row(line), "date"), given.zone) for line in rows]
    # A step between two times is the same in every zone, but for the hours in which a clock is changed.
    size_ns = _spacing([_start_ns(_named(row(line), "date"), given.zone or "UTC") for line in rows])
    size = None if size_ns is None else _SIZES.get(size_ns)
    traded = any(_named(row(line), "volume").strip("0.-") for line in rows)
    for line, start_ns in zip(rows, starts, strict=True):
        symbol = given.symbol or next((row(line)[name] for name in _SYMBOL_COLUMNS if row(line).get(name)), None)
        request = None
        what = given.what_to_show or ("TRADES" if traded else None)  # only trades have a volume
        if symbol and size and what:
            request = TwsRequest(symbol=symbol, what_to_show=what, bar_size=size, zone=given.zone)
        reached_ns = start_ns + size_ns if start_ns is not None and size_ns is not None else None
        yield _payload(line, request, reached_ns, headers)


def _spacing(starts: list[int | None]) -> int | None:
    """The bar size by the smallest step between bars that follow one another."""
    known = sorted({start_ns for start_ns in starts if start_ns is not None})
    return min((later - earlier for earlier, later in pairwise(known)), default=None)


def _named(row: dict[str, str], field: str) -> str:
    return next((text for name, text in row.items() if FIELD_BY_NAME.get(name) == field), "")


def _start_ns(text: str, zone: str | None) -> int | None:
    try:
        return values.start_ns(text, zone)
    except BadRecord:
        return None


# --- dialogues and raw messages ---------------------------------------------------------------------------------------


def _transcript(first: bytes, texts: Iterator[bytes], given: Given) -> Iterator[Payload]:
    asked: dict[str, TwsRequest] = {}
    zone, session = given.zone, -1
    reached_ns: int | None = None
    for line in _chain(first, texts):
        text = line.decode("utf-8", "replace")
        if text.startswith("handshake "):
            asked, session = {}, session + 1
            told = _plain(_fields(text.partition(" ")[2]), "connection_time")
            reached_ns = _start_ns(told, None)
            # TWS prints times that name no zone in its own, which the handshake tells: `20260405 12:00:00 CET`.
            zone = given.zone or (None if reached_ns is None else told.split(" ", 2)[-1])
        elif match := _CLIENT.match(text):
            fields = _fields(match[2])
            if (request := _asked(match[1], fields, given, zone)) is not None:
                asked[_plain(fields, "req_id")] = request
        elif text.startswith("server "):
            fields = _fields(text.split(" ", 2)[-1])
            request = asked.get(_plain(fields, "req_id"))
            reached_ns = _reached(fields, request, reached_ns)
            yield _payload(line, request, reached_ns, ((H_FORMAT, b"transcript"),), max(session, 0))


def _fields(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)  # unlike json's, its texts are Unicode: no half of a pair of surrogates
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(fields: dict[str, Any], name: str) -> str:
    """The text or the whole number of that name, as text; empty for all else, which may be nested without end."""
    value = fields.get(name)
    return str(value) if isinstance(value, str | int) else ""


def _asked(kind: str, fields: dict[str, Any], given: Given, zone: str | None) -> TwsRequest | None:
    contract = fields.get("contract")
    contract = contract if isinstance(contract, dict) else {}
    said = {
        "symbol": given.symbol or contract.get("symbol"),
        "what_to_show": fields.get("what_to_show"),
        "bar_size": "5 secs" if kind == "realtime_bars" else fields.get("bar_size"),
        "use_rth": fields.get("use_rth"),
        "sec_type": contract.get("sec_type"),
        "exchange": contract.get("exchange"),
        "currency": contract.get("currency"),
        "duration": fields.get("duration"),
        "zone": zone,
    }
    try:
        return msgspec.convert(said, TwsRequest)
    except msgspec.ValidationError:
        return None


def _reached(fields: dict[str, Any], request: TwsRequest | None, before_ns: int | None) -> int | None:
    millis = _plain(fields, _ERROR_TIME)
    if len(millis) == 13 and millis.isascii() and millis.isdigit():  # noqa: PLR2004  # of this century
        return int(millis) * NS_PER_MS
    if request is None or (start_ns := _start_ns(_plain(fields, "time"), request.zone)) is None:
        return before_ns
    return start_ns + BAR_SIZES_NS.get(request.bar_size, 0)


def _messages(first: bytes, texts: Iterator[bytes], _given: Given) -> Iterator[Payload]:
    server, stamped_ns, answers = b"", None, False
    for line in _chain(first, texts):
        if match := _SERVER.fullmatch(line):
            server = match[1]
        elif match := _RECORDED_AT.match(line):
            stamped_ns = _start_ns(f"{match[1].decode()} {match[2].decode()}", "UTC")
        elif line.strip() in {b"responses:", b"responses: []"}:
            answers = True
        elif line.strip() == b"request:":
            answers = False
        elif answers and (match := _RAW.fullmatch(line)):
            value = match[1].replace(b"\\0", b"\0")
            yield Payload(value, None, stamped_ns, None, 0, ((H_FORMAT, b"wire"), (H_SERVER, server)))


def _printed(first: bytes, texts: Iterator[bytes], given: Given) -> Iterator[Payload]:
    """Real-time bars are of 5 s; what a bar of a list is of, print does not say."""
    request = None
    if given.symbol and given.what_to_show:
        said = {"symbol": given.symbol, "what_to_show": given.what_to_show, "bar_size": "5 secs", "zone": given.zone}
        request = msgspec.convert(said, TwsRequest)
    for line in _chain(first, texts):
        if _PRINTED.fullmatch(line):
            yield _payload(line, request if line.startswith(b"RealTimeBar") else None, None, ((H_FORMAT, b"printed"),))


# --- parts ------------------------------------------------------------------------------------------------------------


def _payload(
    value: bytes,
    request: TwsRequest | None,
    reached_ns: int | None,
    headers: tuple[tuple[str, bytes], ...],
    session: int = 0,
) -> Payload:
    if request is None:
        return Payload(value, None, None, reached_ns, session, headers)
    told = (*headers, (H_REQUEST, encode(request)))
    return Payload(value, request.symbol.encode(), None, reached_ns, session, told)


def _chain(first: bytes, texts: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from texts


_KINDS: tuple[tuple[bytes, Callable[[bytes, Iterator[bytes], Given], Iterator[Payload]]], ...] = (
    (rb"header:", _messages),
    (rb"###", _printed),
    (rb"#|handshake|client|server", _transcript),
    (rb"\{", _ndjson),
    (rb"(?i)(\xef\xbb\xbf)?[\w ]+(,[\w ]+){4,}\s*$", _csv),
)
