"""Recorded WebSocket frames: NDJSON, one frame a line, bare or wrapped by its recorder.

`{"recv_ms": .., "event": {..}}` has the recorder's receive stamp; `{.., "frame": {..}}` and bare frames have none, and
stand at the latest exchange time that the file has shown.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from producers.kalshi import envelope
from tapefold.payloads.files import Payload, lines
from topics.catalog import H_SID_NS
from topics.units import NS_PER_MS

SUFFIXES = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")

_MS_MAX = 4_102_444_800_000  # the year 2100


class _Line(Struct):
    recv_ms: Annotated[int, Meta(gt=0, lt=_MS_MAX)] | None = None
    event: Raw = Raw()
    frame: Raw = Raw()


_decode = msgspec.json.Decoder(_Line).decode


def payloads(path: Path) -> Iterator[Payload]:
    """The file's frames in its order. A line that is no frame is given as it stands, for the parser to refuse."""
    reached_ns: int | None = None
    session = 0
    seq_by_sid: dict[int, int] = {}
    ns_by_sid: dict[int, int] = {}
    for text in lines(path):
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
