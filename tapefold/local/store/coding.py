"""Content codings of requests and answers: lz4 (frames), zstd, gzip, deflate; all in pieces, nothing as a whole.

lz4 and zstd as Content-Encoding are ClickHouse's own: https://clickhouse.com/docs/interfaces/http#compression
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import lz4.frame
import zstandard

from tapefold.local.store.faults import StoreFault

PIECE_BYTES = 1 << 20
"""The most that is decoded at once, so that a small body can not fill the memory."""

_GZIP_WBITS = 31
_ZLIB_WBITS = 15

# On loopback the cheapest wins.
_PREFERRED = ("lz4", "zstd", "gzip", "deflate")


class Encoder(Protocol):
    """Codes an answer in pieces."""

    def compress(self, piece: bytes | memoryview) -> bytes:
        """The code of the piece, as far as it is ready."""
        ...

    def flush(self) -> bytes:
        """The end of the code."""
        ...


class _Lz4Encoder:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, piece: bytes | memoryview) -> bytes:
        begin = b"" if self._begun else self._frame.begin()
        self._begun = True
        return bytes(begin + self._frame.compress(piece))

    def flush(self) -> bytes:
        begin = b"" if self._begun else self._frame.begin()
        return bytes(begin + self._frame.flush())


def encoder(coding: str) -> Encoder:
    """A fresh encoder of one of the codings that `choose_coding` returns."""
    if coding == "lz4":
        return _Lz4Encoder()
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=1).compressobj()
    return zlib.compressobj(level=1, wbits=_GZIP_WBITS if coding == "gzip" else _ZLIB_WBITS)


def choose_coding(accepted: str) -> str | None:
    """The coding for an answer to a request with this Accept-Encoding; None if it accepts none of ours."""
    offers = {}
    for offer in accepted.lower().split(","):
        name, _, parameters = offer.partition(";")
        offers[name.strip()] = parameters.replace(" ", "")
    for coding in _PREFERRED:
        if coding in offers and offers[coding] not in {"q=0", "q=0.0"}:
            return coding
    return None


def decoded(pieces: Iterable[bytes], coding: str | None) -> Iterator[bytes]:
    """The decoded body of a request, in pieces of at most `PIECE_BYTES`.

    coding: the header Content-Encoding. A body of several frames or members one after another is one body.
    Errors: StoreFault UNKNOWN_COMPRESSION_METHOD (89), or CANNOT_DECOMPRESS (271) also for a body that is cut off.
    """
    name = (coding or "identity").strip().lower()
    if name == "identity":
        return iter(pieces)
    if name == "lz4":
        return _decoded(pieces, _Lz4Decoder)
    if name == "zstd":
        return _decoded(pieces, _ZstdDecoder)
    if name in {"gzip", "deflate"}:
        return _decoded(pieces, lambda: _ZlibDecoder(_GZIP_WBITS if name == "gzip" else _ZLIB_WBITS))
    raise StoreFault(89, "UNKNOWN_COMPRESSION_METHOD", f"Unknown compression method {coding}")


class _Decoder(Protocol):
    """Decodes one frame."""

    eof: bool
    rest: bytes
    """What followed the frame in the code; known at its end."""

    def feed(self, code: bytes) -> Iterator[bytes]: ...


def _decoded(pieces: Iterable[bytes], fresh: Callable[[], _Decoder]) -> Iterator[bytes]:
    decoder: _Decoder | None = None
    try:
        for piece in pieces:
            code = piece
            while code:
                decoder = decoder or fresh()
                yield from decoder.feed(code)
                code = b""
                if decoder.eof:
                    code, decoder = decoder.rest, None
    except (zlib.error, zstandard.ZstdError, RuntimeError) as error:  # lz4 has no error class of its own
        raise StoreFault(271, "CANNOT_DECOMPRESS", f"Cannot decompress the request body: {error}") from error
    if decoder is not None:
        raise StoreFault(271, "CANNOT_DECOMPRESS", "Cannot decompress the request body: it is cut off")


class _Lz4Decoder:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameDecompressor()
        self.eof = False
        self.rest = b""

    def feed(self, code: bytes) -> Iterator[bytes]:
        while True:
            yield self._frame.decompress(code, max_length=PIECE_BYTES)
            code = b""
            self.eof = self._frame.eof
            self.rest = self._frame.unused_data or b""
            if self.eof or self._frame.needs_input:
                return


class _ZlibDecoder:
    def __init__(self, wbits: int) -> None:
        self._stream = zlib.decompressobj(wbits=wbits)
        self.eof = False
        self.rest = b""

    def feed(self, code: bytes) -> Iterator[bytes]:
        while code:
            yield self._stream.decompress(code, PIECE_BYTES)
            code = self._stream.unconsumed_tail
        self.eof = self._stream.eof
        self.rest = self._stream.unused_data


class _ZstdDecoder:
    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor().decompressobj(write_size=PIECE_BYTES)
        self.eof = False
        self.rest = b""

    def feed(self, code: bytes) -> Iterator[bytes]:
        # This object has no bound on its output; a slice of its input bounds it well enough for honest clients.
        step = PIECE_BYTES // 16
        view = memoryview(code)
        for at in range(0, len(view), step):
            yield self._frame.decompress(view[at : at + step])
            if self._frame.eof:
                self.eof = True
                self.rest = self._frame.unused_data + bytes(view[at + step :])
                return
