"""The bytes of the TWS protocol, versions 157 to 178. Pure.

A frame is a length (4 bytes, big-endian) and a body; a body is fields, each ended by NUL. The client's first bytes are
`API` and NUL without a length, then a frame `v157..178` without a NUL (ib_async 2.1 `client.py`, read 2026-11).
"""

import re
import struct
from collections.abc import Iterator

HELLO = b"API\0"
FRAME_BYTES_MAX = 1 << 20  # a client's longest request has some hundred; more is no TWS client
_LENGTH = struct.Struct(">I")
_VERSIONS = re.compile(rb"v(\d{1,5})(?:\.\.(\d{1,5}))?(?: .*)?")

# What clients ask, and what the server says.
REQ_CONTRACT, REQ_HISTORY, CANCEL_HISTORY, REQ_TIME, REQ_REALTIME, CANCEL_REALTIME = 9, 20, 25, 49, 50, 51
START_API = 71
ERROR, NEXT_VALID_ID, CONTRACT, ACCOUNTS, HISTORY, TIME, REALTIME, CONTRACT_END, UPDATE = (
    4,
    9,
    10,
    15,
    17,
    49,
    50,
    52,
    90,
)


class NotTws(ValueError):
    """The bytes are not those of a TWS client. The message says what was expected."""


def frame(*fields: object) -> bytes:
    """A frame of these fields; truth is 1 and 0, None is empty."""
    body = b"".join(_text(field).encode() + b"\0" for field in fields)
    return _LENGTH.pack(len(body)) + body


def _text(field: object) -> str:
    if field is None:
        return ""
    return str(int(field)) if isinstance(field, bool) else str(field)


class Unframer:
    """Bytes in, bodies out: `versions` is what the client offers, None before it has."""

    def __init__(self) -> None:
        self.versions: tuple[int, int] | None = None
        self._hello = False
        self._bytes = bytearray()

    def receive(self, data: bytes) -> Iterator[list[str]]:
        """The fields of every frame that is whole now, the greeting left out. Raises NotTws."""
        self._bytes += data
        if not self._hello:
            if len(self._bytes) < len(HELLO):
                return
            if self._bytes[: len(HELLO)] != HELLO:
                raise NotTws(f"expected {HELLO!r} first, was {bytes(self._bytes[:8])!r}")
            del self._bytes[: len(HELLO)]
            self._hello = True
        while (body := self._body()) is not None:
            if self.versions is None:
                self.versions = _versions(body)
            else:
                yield body.decode("utf-8", "backslashreplace").split("\0")[:-1]

    def _body(self) -> bytes | None:
        if len(self._bytes) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._bytes)
        if length > FRAME_BYTES_MAX:
            raise NotTws(f"expected a frame of at most {FRAME_BYTES_MAX} bytes, was {length}")
        end = _LENGTH.size + length
        if len(self._bytes) < end:
            return None
        body = bytes(self._bytes[_LENGTH.size : end])
        del self._bytes[:end]
        return body


def _versions(body: bytes) -> tuple[int, int]:
    match = _VERSIONS.fullmatch(body)
    if match is None:
        raise NotTws(f"expected versions such as v157..178, was {body[:32]!r}")
    return int(match[1]), int(match[2] or match[1])
