"""HTTP/1.1 of the store: one thread per connection, which serves its requests one after another.

Threads, because chdb's calls block and give up the interpreter's lock; the standard library's server, because it
hands over a request body as it comes in, and knows keep-alive and `Expect: 100-continue`.
"""

import contextlib
import http.server
import itertools
import logging
import secrets
from collections.abc import Generator, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tapefold.local.store.coding import PIECE_BYTES, choose_coding, decoded, encoder
from tapefold.local.store.faults import StoreFault
from tapefold.local.store.forms import is_form, read_form
from tapefold.local.store.protocol import Answer, Request, failure_in_midst, is_local_caller, read_request

if TYPE_CHECKING:
    from tapefold.local.store.server import StoreServer

_LOG = logging.getLogger(__name__)

_OK_PATHS = frozenset({"/ping", "/replicas_status"})
_CHUNK_LINE_BYTES_MAX = 4096
_TAG_CHARS = 16  # as ClickHouse's


class _BrokenBodyError(ConnectionError):
    """The client went away, or spoke nonsense, within a request body: nothing can be answered."""


class _Body:
    """The body of one request as it comes from the socket, still coded.

    A response before the whole body was read would reset the connection under a client that still sends.
    """

    def __init__(self, handler: "StoreHandler") -> None:
        self._file = handler.rfile
        coding = handler.headers.get("Transfer-Encoding", "").lower()
        length = handler.headers.get("Content-Length")
        self.chunked = "chunked" in coding
        self.has_length = length is not None and length.isdigit()
        self._left_bytes = int(length) if length is not None and length.isdigit() else 0
        self._pieces = self._read_chunked() if self.chunked else self._read_plain()

    def __iter__(self) -> Iterator[bytes]:
        # Without the `close` of a generator, by which a failed insert would forget the rest that must be drained.
        return itertools.chain(self._pieces)

    def drain(self) -> None:
        """Reads what is left of the body and forgets it."""
        for _ in self._pieces:
            pass

    def _read_plain(self) -> Iterator[bytes]:
        while self._left_bytes:
            yield self._read(min(self._left_bytes, PIECE_BYTES))

    def _read_chunked(self) -> Iterator[bytes]:
        while True:
            size_text = self._line().partition(b";")[0].strip()
            try:
                self._left_bytes = int(size_text, 16)
            except ValueError:
                raise _BrokenBodyError(f"{size_text!r} is no size of a chunk") from None
            if not self._left_bytes:
                break
            yield from self._read_plain()
            self._line()
        while self._line().strip():  # trailers
            pass

    def _read(self, size_bytes: int) -> bytes:
        piece = self._file.read(size_bytes)
        if len(piece) < size_bytes:
            raise _BrokenBodyError("the client went away within its request")
        self._left_bytes -= size_bytes
        return piece

    def _line(self) -> bytes:
        line = self._file.readline(_CHUNK_LINE_BYTES_MAX)
        if not line.endswith(b"\n"):
            raise _BrokenBodyError("the client went away within its request")
        return line


class StoreHandler(http.server.BaseHTTPRequestHandler):
    """Serves one connection."""

    server: "StoreServer"
    protocol_version = "HTTP/1.1"
    server_version = "tapefold"
    disable_nagle_algorithm = True
    rbufsize = 1 << 16

    def parse_request(self) -> bool:
        """Reads the head of a request; refuses it if the server is about to end."""
        if not self.server.begin(self.connection):
            self.close_connection = True
            return False
        return super().parse_request()

    def handle_one_request(self) -> None:
        """Serves one request, and lets the server know when it is over."""
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError) as error:
            _LOG.info("client gone: %s", error)
            self.close_connection = True
        finally:
            if not self.server.end(self.connection):
                self.close_connection = True

    def do_GET(self) -> None:
        """Health checks, and queries that change nothing."""
        self._serve()

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self._serve()

    def do_POST(self) -> None:
        """Queries of all kinds."""
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class names it
        """Requests are no news."""
        _LOG.debug(format, *args)

    def _serve(self) -> None:
        body = _Body(self)
        try:
            answer = self._simple_answer() or self._query_answer(body)
        except StoreFault as fault:
            body.drain()
            self._send_fault(fault)
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 -- the top of a request: whatever it was, the client is told
            _LOG.exception("request failed")
            body.drain()
            self._send_fault(StoreFault(1002, "UNKNOWN_EXCEPTION", f"{type(error).__name__}: {error}"))
        else:
            body.drain()
            self._send(answer, self._request)

    _request: Request | None = None

    def _simple_answer(self) -> Answer | None:
        """The answer to what is no query; None if it is one."""
        self._request = None
        target = urlsplit(self.path)
        if not is_local_caller(dict(self.headers.items())):
            return self._text_answer(HTTPStatus.FORBIDDEN, "The embedded store serves programs of this machine only\n")
        if target.path in _OK_PATHS:
            return self._text_answer(HTTPStatus.OK, "Ok.\n")
        if target.path not in {"/", ""}:
            return self._text_answer(
                HTTPStatus.NOT_FOUND,
                f"There is no handle {target.path}\n\nUse / or /ping for health checks, or POST queries to /\n",
            )
        if self.command != "POST" and "query=" not in target.query:
            return self._text_answer(HTTPStatus.OK, "Ok.\n")
        return None

    def _query_answer(self, body: _Body) -> Answer:
        if self.command == "POST" and not body.chunked and not body.has_length:
            self.close_connection = True
            raise StoreFault(
                381,
                "HTTP_LENGTH_REQUIRED",
                "The Transfer-Encoding is not chunked and there is no Content-Length header for POST request",
            )
        pieces = decoded(body, self.headers.get("Content-Encoding"))
        form_type = self.headers.get("Content-Type", "")
        parts = None
        if is_form(form_type):
            parts = read_form(b"".join(pieces), form_type)
            pieces = iter(())
        self._request = read_request(self.command, self.path, dict(self.headers.items()), parts)
        return self.server.service.answer(self._request, pieces)

    def _text_answer(self, status: HTTPStatus, text: str) -> Answer:
        content = text.encode(errors="replace")
        headers = (
            {"Content-Type": "text/html; charset=UTF-8"} if status == HTTPStatus.OK else {"Content-Type": "text/plain"}
        )
        return Answer(status, headers, iter((content,)), len(content))

    def _send_fault(self, fault: StoreFault) -> None:
        service = self.server.service
        content = fault.body(service.engine.version)
        headers = service.headers(self._request)
        del headers["X-ClickHouse-Format"]
        headers["Content-Type"] = "text/plain; charset=UTF-8"
        headers["X-ClickHouse-Exception-Code"] = str(fault.code)
        self._send(Answer(fault.http_status, headers, iter((content,)), len(content)), None)

    def _send(self, answer: Answer, request: Request | None) -> None:
        coding = choose_coding(self.headers.get("Accept-Encoding", "")) if request and request.compress else None
        whole = answer.total_bytes is not None and coding is None
        tag = secrets.token_hex(_TAG_CHARS // 2)
        with contextlib.closing(_closable(answer.pieces)) as pieces:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.total_bytes is None:
                self.send_header("X-ClickHouse-Exception-Tag", tag)
            if coding:
                self.send_header("Content-Encoding", coding)
            if whole:
                self.send_header("Content-Length", str(answer.total_bytes))
            else:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if self.command == "HEAD":
                return
            if whole:
                for piece in pieces:
                    self.wfile.write(piece)
            else:
                self._send_chunks(pieces, coding, tag)

    def _send_chunks(self, pieces: Iterator[bytes | memoryview], coding: str | None, tag: str) -> None:
        code = encoder(coding) if coding else None
        failed = False
        try:
            for piece in pieces:
                self._chunk(code.compress(piece) if code else piece)
        except StoreFault as fault:
            failed = True
            text = failure_in_midst(fault.body(self.server.service.engine.version), tag)
            self._chunk(code.compress(text) if code else text)
        if code:
            self._chunk(code.flush())
        if failed:
            # A client that does not know the tag sees by the missing end that the body is not whole.
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, piece: bytes | memoryview) -> None:
        if len(piece):
            self.wfile.write(b"%x\r\n" % len(piece))
            self.wfile.write(piece)
            self.wfile.write(b"\r\n")


def _closable(pieces: Iterator[bytes | memoryview]) -> Generator[bytes | memoryview, None, None]:
    """A generator over the pieces; if they are one too, it closes them with itself."""
    yield from pieces
