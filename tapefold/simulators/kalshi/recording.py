"""Recorded WebSocket frames as one timeline: find the files, read their lines, merge them by time.

A recording is gzip or plain NDJSON, one frame a line: bare (`{"type":..,"msg":..}`), wrapped with its receive time
(`{"recv_ms":..,"event":{..}}`) or wrapped without (`{"frame":{..}}`). Times are Unix milliseconds. Files are read as
the timeline reaches them and only those that overlap are open, so millions of frames need little memory.

It reads the files that it is given and no clock.
"""

import gzip
import heapq
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple, cast

import msgspec

from topics.errors import Refused

SUFFIXES = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")
"""What a folder is searched for, recursively. A file that is named itself may be called anything."""

HEAD_LINES_MAX = 10_000
"""A file whose first so many frames have no time is taken to have none: all its frames stand at time 0."""

SCAN_CHUNK_BYTES = 4 << 20

_GZIP_MAGIC = b"\x1f\x8b"
_MARKET = re.compile(rb'"market_ticker"\s*:\s*"([^"\\]+)"')
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXPECTED = 'expected a frame {"type":..,"msg":..}, bare or as "event" or "frame" of a JSON object'


class BadRecording(Refused):
    """A recording that cannot be read: `path`, `line` (from 1, or `None` for the file) and `problem`."""

    def __init__(self, path: Path, line: int | None, problem: str) -> None:
        self.path = path
        self.line = line
        self.problem = problem
        super().__init__(path, line, problem)

    def __str__(self) -> str:
        place = f"{self.path}" if self.line is None else f"{self.path}, line {self.line}"
        return f"{place}: {self.problem}"


class Frame(NamedTuple):
    """One recorded frame. Tuples sort by time, then file, then line, which is the order of the timeline.

    at_ms: its place in the timeline, never before its predecessor of the same file; 0 when nothing has a time.
    file: index of its file. line: number of its line, from 1.
    kind: the frame's `type`. market: `msg.market_ticker`, "" when there is none.
    msg: the bytes of `msg` as recorded (a view into the line; copy it to keep it).
    price, delta, side: `price_dollars`, `delta_fp`, `side` as recorded, "" when absent; they matter to deltas only.
    """

    at_ms: int
    file: int
    line: int
    kind: str
    market: str
    msg: msgspec.Raw
    price: str
    delta: str
    side: str


class _Event(msgspec.Struct):
    type: str = ""
    msg: msgspec.Raw = msgspec.Raw(b"")


class _Line(msgspec.Struct):
    recv_ms: int | None = None
    event: _Event | None = None
    frame: _Event | None = None
    type: str = ""
    msg: msgspec.Raw = msgspec.Raw(b"")


class _Msg(msgspec.Struct):
    market_ticker: str = ""
    price_dollars: str = ""
    delta_fp: str = ""
    side: str = ""
    ts_ms: int | None = None
    ts: int | float | str | None = None


_READ_ERRORS = (EOFError, OSError, zlib.error)  # a gzip file that was cut off, or is damaged
_decode_line = msgspec.json.Decoder(_Line).decode
_decode_msg = msgspec.json.Decoder(_Msg).decode
_REPLIES = frozenset({"subscribed", "unsubscribed", "ok", "error"})


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The recording's files in a stable order; folders are searched recursively for `SUFFIXES`.

    Raises `BadRecording` for a path that does not exist and for a folder without a recording.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.name.endswith(SUFFIXES) and file.is_file())
            if not found:
                raise BadRecording(path, None, f"expected a folder with files {', '.join(SUFFIXES)}, found none")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise BadRecording(path, None, "expected a recording, there is no such file or folder")
    return files


def timeline(files: Sequence[Path]) -> Iterator[Frame]:
    """All data frames and recorded replies of `files`, ordered by time; the order within a file is kept.

    A frame stands at its `recv_ms` where given, else at its own exchange time (`ts_ms`, or `ts` in seconds or RFC 3339);
    without either at its predecessor's, the first ones of a file at the first time that the file has.
    Raises `BadRecording` when it reaches a line that is no frame.
    """
    return heapq.merge(*(_frames(file, index) for index, file in enumerate(files)))


def scan_markets(files: Iterable[Path]) -> list[str]:
    """The distinct market tickers of a recording, sorted. A search over bytes: lines are not decoded."""
    found: set[bytes] = set()
    for path in files:
        rest = b""
        with _open(path) as file:
            try:
                while chunk := file.read(SCAN_CHUNK_BYTES):
                    whole, newline, rest = (rest + chunk).rpartition(b"\n")
                    if newline:
                        found.update(_MARKET.findall(whole))
            except _READ_ERRORS as error:
                raise _unreadable(path, error) from error
        found.update(_MARKET.findall(rest))
    return sorted(ticker.decode() for ticker in found)


def _frames(path: Path, index: int) -> Iterator[Frame]:
    """One file's frames. It is closed again after its first times, so that unread files hold no descriptor."""
    head, lines = _head(path)
    at_ms = next((time for _, _, time in head if time is not None), 0)
    for line, text, _ in head:
        frame = _frame(path, index, line, text, at_ms)
        at_ms = frame.at_ms
        yield frame
    with _open(path) as file:
        for line, text in islice(_lines(path, file), lines, None):
            if text.isspace():
                continue
            frame = _frame(path, index, line, text, at_ms)
            at_ms = frame.at_ms
            yield frame


def _head(path: Path) -> tuple[list[tuple[int, bytes, int | None]], int]:
    """The lines up to the first that has a time, and how many lines of the file that took."""
    head: list[tuple[int, bytes, int | None]] = []
    line = 0
    with _open(path) as file:
        for line, text in _lines(path, file):
            if text.isspace():
                continue
            time_ms = _own_ms(path, line, text)
            head.append((line, text, time_ms))
            if time_ms is not None or len(head) == HEAD_LINES_MAX:
                break
    return head, line


def _frame(path: Path, index: int, line: int, text: bytes, after_ms: int) -> Frame:
    """Decode one line; it stands at its own time, but never before `after_ms`."""
    kind, raw, msg, time_ms = _parse(path, line, text)
    at_ms = after_ms if time_ms is None or time_ms < after_ms else time_ms
    return Frame(at_ms, index, line, kind, msg.market_ticker, raw, msg.price_dollars, msg.delta_fp, msg.side)


def _own_ms(path: Path, line: int, text: bytes) -> int | None:
    return _parse(path, line, text)[3]


def _parse(path: Path, line: int, text: bytes) -> tuple[str, msgspec.Raw, _Msg, int | None]:
    try:
        outer = _decode_line(text)
        event = outer.event or outer.frame or outer
        raw = event.msg
        if not raw and event.type not in _REPLIES:
            raise BadRecording(path, line, f"{_EXPECTED}, was {_excerpt(text)}")
        if not event.type:
            raise BadRecording(path, line, f"{_EXPECTED}, was {_excerpt(text)}")
        # Replies are passed over by the exchange, and the `msg` of `ok` may be a list.
        msg = _NO_MSG if event.type in _REPLIES else _decode_msg(raw)
        time_ms = outer.recv_ms
        if time_ms is None:
            time_ms = msg.ts_ms if msg.ts_ms is not None else _seconds_ms(msg.ts)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise BadRecording(path, line, f"{_EXPECTED}, was {_excerpt(text)} ({error})") from error
    return event.type, raw, msg, time_ms


_NO_MSG = _Msg()


def _seconds_ms(stamp: float | str | None) -> int | None:
    """Unix ms of a `ts`: seconds on tickers and trades, RFC 3339 on deltas. Raises ValueError when it is neither."""
    if stamp is None:
        return None
    if isinstance(stamp, str):
        moment = datetime.fromisoformat(stamp)
        if moment.tzinfo is None:
            raise ValueError(f"{stamp!r} has no time zone")
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    return round(stamp * 1000)


def _open(path: Path) -> IO[bytes]:
    """The file's content, unpacked when it begins like gzip, whatever it is called."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    # GzipFile is a binary stream in all but its declared type.
    return cast("IO[bytes]", gzip.open(path, "rb")) if packed else path.open("rb")


def _lines(path: Path, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    line = 0
    try:
        for line, text in enumerate(file, 1):
            yield line, text
    except _READ_ERRORS as error:
        raise _unreadable(path, error, line) from error


def _unreadable(path: Path, error: Exception, line: int | None = None) -> BadRecording:
    return BadRecording(path, line, f"expected complete gzip or plain NDJSON, reading failed: {error}")


def _excerpt(text: bytes) -> str:
    shown = text.strip()[:80].decode(errors="replace")
    return repr(shown)
