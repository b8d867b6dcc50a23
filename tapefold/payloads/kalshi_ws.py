"""Recorded WebSocket frames: NDJSON, one frame a line, bare or wrapped by its recorder.

`{"recv_ms": .., "event": {..}}` has the recorder's receive stamp; `{.., "frame": {..}}` and bare frames have none, and
stand at the latest exchange time that the file has shown. A table of best quotes (`timestamp,market_ticker,best_yes_bid,..`)
has a line for each change: given as the frame `top_of_book`, which holds the columns as they stand, at the stamp of its recorder.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from producers.kalshi import envelope
from stream_processors import local_time
from tapefold.payloads.files import BOM, Payload, lines
from topics.catalog import H_SID_NS
from topics.errors import BadRecord
from topics.units import NS_PER_MS

SUFFIXES = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz", ".csv", ".csv.gz")

_TOPS = b"timestamp,market_ticker,best_yes_bid,"
_DIGITS_MAX = 15
_MS_MAX = 4_102_444_800_000  # the year 2100


class _Line(Struct):
    recv_ms: Annotated[int, Meta(gt=0, lt=_MS_MAX)] | None = None
    event: Raw = Raw()
    frame: Raw = Raw()


_decode = msgspec.json.Decoder(_Line).decode


def payloads(path: Path, zone: str | None = None) -> Iterator[Payload]:
    """The file's frames in its order. A line that is no frame is given as it stands, for the parser to refuse.

    zone: IANA, of tables whose times name none; without it the parser refuses their lines.
    """
    texts = lines(path)
    first = next(texts, b"")
    if first.removeprefix(BOM).startswith(_TOPS):
        yield from _tops(first.removeprefix(BOM).decode("utf-8", "replace").split(","), texts, zone)
    else:
        yield from _frames(chain([first] if first else [], texts))


def _tops(columns: list[str], texts: Iterable[bytes], zone: str | None) -> Iterator[Payload]:
    for text in texts:
        cells = text.decode("utf-8", "replace").split(",")
        if len(cells) != len(columns):
            yield Payload(text, None, None, None)
            continue
        said: dict[str, str | int] = {
            name: int(cell) if cell.isdecimal() and len(cell) <= _DIGITS_MAX else cell
            for name, cell in zip(columns, cells, strict=True)
        }
        if zone is not None:
            said["zone"] = zone
        ticker = str(said["market_ticker"])
        frame = msgspec.json.encode({"type": "top_of_book", "sid": 0, "msg": said})
        yield Payload(frame, ticker.encode() or None, _stamp_ns(str(said["timestamp"]), zone), None)


def _stamp_ns(text: str, zone: str | None) -> int | None:
    try:
        return local_time.local_ns(text, zone)
    except BadRecord:  # the parser refuses it, by the same words
        return None


def _frames(texts: Iterable[bytes]) -> Iterator[Payload]:
    reached_ns: int | None = None
    session = 0
    seq_by_sid: dict[int, int] = {}
    ns_by_sid: dict[int, int] = {}
    for text in texts:
        frame, stamped_ns = _unwrapped(text)
        said = envelope.read(frame)
        exchange_ns = said.exchange_ns()
        if exchange_ns is not None:
            reached_ns = exchange_ns if reached_ns is None else max(reached_ns, exchange_ns)
        if said.sid is not None and said.seq is not None:
            if said.seq <= seq_by_sid.get(said.sid, -1):  # numbers rise within a connection: this is another one
                session += 1
                seq_by_sid, ns_by_sid = {}, {}
            seq_by_sid[said.sid] = said.seq
        ticker = None if said.msg is None else said.msg.market_ticker
        yield Payload(
            frame,
            ticker.encode() if ticker else None,
            stamped_ns,
            reached_ns,
            session,
            _sid_header(said, ns_by_sid),
        )
        if said.sid is not None and exchange_ns is not None:
            ns_by_sid[said.sid] = max(exchange_ns, ns_by_sid.get(said.sid, 0))


def _unwrapped(text: bytes) -> tuple[bytes, int | None]:
    try:
        line = _decode(text)
    except (ValueError, RecursionError):
        return text, None
    frame = bytes(line.event) or bytes(line.frame) or text
    return frame, None if line.recv_ms is None else line.recv_ms * NS_PER_MS


def _sid_header(said: envelope.Envelope, ns_by_sid: dict[int, int]) -> tuple[tuple[str, bytes], ...]:
    """A snapshot has no time of its own; it takes the latest that its subscription has shown."""
    if said.type != "orderbook_snapshot" or said.sid not in ns_by_sid:
        return ()
    return ((H_SID_NS, b"%d" % ns_by_sid[said.sid]),)
