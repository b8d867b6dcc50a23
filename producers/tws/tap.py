"""The bytes that a TWS server sends -> its messages, as they came. Pure.

ib_async makes floats of prices, 0 of what is missing, and drops what it cannot decode; so what we record is taken off the
socket beside it. A frame is a length (4 bytes, big-endian) and a body of fields, each ended by NUL; the first frame is the
server's version and time (ib_async 2.1 `client.py`, read 2026-11).
"""

import struct
from collections.abc import Iterator

from msgspec import Struct

_LENGTH = struct.Struct(">I")

ERROR = 4
ANSWER = 17
REALTIME = 50
UPDATE = 90
RECORDED = frozenset({ERROR, ANSWER, REALTIME, UPDATE})
_REQUEST_FIELD = {ERROR: 2, ANSWER: 1, REALTIME: 2, UPDATE: 1}
_ANSWER_BARS, _ANSWER_WIDTH = 5, 8
_UPDATE_START = 3


class Message(Struct, frozen=True):
    """One message that is worth recording. number: its type. req_id None: of no request."""

    number: int
    req_id: int | None
    body: bytes

    def starts_s(self) -> list[int]:
        """The starts of its bars, as our requests have them told: seconds since the epoch; others are left out."""
        fields = self.body.split(b"\0")
        texts = (
            fields[_ANSWER_BARS:-1:_ANSWER_WIDTH]
            if self.number == ANSWER
            else fields[_UPDATE_START : _UPDATE_START + 1]
        )
        return [int(text) for text in texts if text.isdigit()]


class Tap:
    """Bytes in, messages out. server: its version, empty before it is told."""

    def __init__(self) -> None:
        self.server = b""
        self._bytes = bytearray()

    def receive(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole now, those alone that are recorded."""
        self._bytes += data
        while len(self._bytes) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._bytes)[0]
            if len(self._bytes) < end:
                return
            body = bytes(self._bytes[_LENGTH.size : end])
            del self._bytes[:end]
            if not self.server:
                self.server = body.partition(b"\0")[0]
            elif (message := _message(body)) is not None:
                yield message


def _message(body: bytes) -> Message | None:
    fields = body.split(b"\0", 3)
    if not fields[0].isdigit() or (number := int(fields[0])) not in RECORDED:
        return None
    place = _REQUEST_FIELD[number]
    text = fields[place] if place < len(fields) else b""
    return Message(number, int(text) if text.isdigit() else None, body)
