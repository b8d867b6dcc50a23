"""Files of recorded payloads: found, opened (gzip or plain) and given out payload by payload."""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from topics.errors import Refused

BOM = b"\xef\xbb\xbf"  # some spreadsheets begin a table with it
_GZIP_MAGIC = b"\x1f\x8b"
_READ_ERRORS = (EOFError, OSError, zlib.error)  # a gzip file that was cut off, or is damaged


class UnreadableFile(Refused):
    """A file that cannot be read at all; what stands in a readable one is the parser's business."""


class Payload(NamedTuple):
    """One payload as its upstream sent it.

    value: the bytes that the producer would have appended. key: the key it would have given them.
    stamped_ns: the receive stamp of the file's recorder; None when the file has none.
    reached_ns: without a stamp, the time that the recording itself has reached here (a stated rule, not a stamp);
    None when it shows no time, and then nothing is claimed to be known before the load.
    ruled: without any stamp, the parser of the source says by a stated rule when its facts were known; the record itself is
    received when it is loaded.
    session: counts the connections within the file. headers: what the producer says beside the common headers.
    """

    value: bytes
    key: bytes | None
    stamped_ns: int | None
    reached_ns: int | None
    session: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()
    ruled: bool = False


def find(paths: Iterable[Path], suffixes: tuple[str, ...]) -> list[Path]:
    """Files as named; folders are searched recursively for `suffixes`, in a stable order. Raises UnreadableFile."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.name.endswith(suffixes) and file.is_file())
            if not inside:
                raise UnreadableFile(f"{path}: expected a folder with files {', '.join(suffixes)}, found none")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UnreadableFile(f"{path}: expected a file or a folder of recorded payloads, there is none")
    return found


def content(path: Path) -> bytes:
    """The whole file, unpacked when it begins like gzip, whatever it is called. Raises UnreadableFile."""
    try:
        with _opened(path) as file:
            return file.read()
    except _READ_ERRORS as error:
        raise _unreadable(path, error) from error


def lines(path: Path) -> Iterator[bytes]:
    """The file's lines that are not blank, unpacked like `content`. Raises UnreadableFile, also in mid-file."""
    try:
        with _opened(path) as file:
            for line in file:
                if text := line.strip():
                    yield text
    except _READ_ERRORS as error:
        raise _unreadable(path, error) from error


def fingerprint(path: Path) -> str:
    """Names the file's bytes, wherever it lies: loading it again tells the same facts of the same connection."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    # GzipFile is a binary stream in all but its declared type.
    return cast("IO[bytes]", gzip.open(path, "rb")) if packed else path.open("rb")


def _unreadable(path: Path, error: Exception) -> UnreadableFile:
    return UnreadableFile(f"{path}: expected a complete file, gzip or plain; reading failed: {error}")
