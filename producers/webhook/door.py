"""The HTTP door: Starlette on uvicorn, with the limits that these do not bring.

uvicorn times out idle connections, but neither the head of a request nor its body (read in 0.54, `h11_impl`): a sender
that drips a byte a second would hold a connection for ever. So each connection has one deadline at a time: for the
head, for the body, for the answer to be taken. When there are too many connections the one that has waited longest for
its request gives way, so that slow senders crowd out each other and not the honest ones.

A body that is too large is answered at once. What still comes is discarded for a moment, so that the sender can read
the answer instead of a reset, and then the connection is closed.
"""

import asyncio
import contextlib
import resource
from collections.abc import Iterator
from typing import Any, Literal

import uvicorn
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from producers.webhook.attendance import OnEvent
from producers.webhook.counts import Counts, Outcome
from producers.webhook.receiver import Answer, Receiver
from topics.errors import Refused

_HEAD_BYTES_MAX = 16 * 1024
_LINGER_S = 2.0
_LINGER_BYTES_MAX = 1024 * 1024
_SPARE_FILES = 128  # the log's connections, the markers, the logs
_TOO_LARGE = Answer(413, "Content too large")
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

Phase = Literal["head", "body", "answer"]


class Limits(Struct, frozen=True, kw_only=True):
    """Seconds, bytes and connections. body_bytes_max: providers send some kilobytes; Stripe's largest are below 256."""

    head_s: float = 5.0
    body_s: float = 10.0
    answer_s: float = 20.0
    idle_s: float = 15.0
    body_bytes_max: int = 256 * 1024
    connections_max: int = 1_000


class Connections:
    """All connections, and which of them wait for a request, the longest first."""

    def __init__(self, limits: Limits, counts: Counts) -> None:
        self.limits = limits
        self.counts = counts
        self._all: set[Guarded] = set()
        self._waiting: dict[Guarded, None] = {}

    def admit(self, connection: "Guarded") -> None:
        """Take one more; over the limit the one that has waited longest is cut, which may be the new one itself."""
        self._all.add(connection)
        self._waiting[connection] = None
        if len(self._all) > self.limits.connections_max:
            next(iter(self._waiting)).cut("crowded_out")

    def waits(self, connection: "Guarded") -> None:
        """It has been answered, and waits for the next request."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def works(self, connection: "Guarded") -> None:
        """Its request is whole."""
        self._waiting.pop(connection, None)

    def forget(self, connection: "Guarded") -> None:
        """It is closed."""
        self._all.discard(connection)
        self._waiting.pop(connection, None)


class _Transport:
    """The connection's transport, whose `close` lingers while the sender is still sending."""

    def __init__(self, transport: asyncio.Transport, owner: "Guarded") -> None:
        self._transport = transport
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._owner.lingering or self._transport.is_closing()

    def close(self) -> None:
        self._owner.leave(self._transport)


class Guarded(H11Protocol):
    """uvicorn's protocol with deadlines. guard: all of a door's connections, set by the door."""

    guard: Connections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lingering = False
        self._discarded = 0
        self._phase: Phase | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._request: object = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A new connection: its first head is due."""
        assert isinstance(transport, asyncio.Transport)
        self._plain = transport
        super().connection_made(_Transport(transport, self))  # type: ignore[arg-type]  # all of a transport but its type
        self._enter("head")
        self.guard.admit(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came: they may complete a head or a body."""
        if self.lingering:
            self._discarded += len(data)
            if self._discarded > _LINGER_BYTES_MAX:
                self._plain.abort()
            return
        super().data_received(data)
        self._look()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self.guard.counts.count("no_http")
        super().send_400_response(msg)

    def on_response_complete(self) -> None:
        """An answer is written; the next head is due when its first byte has come, before that `idle_s` counts."""
        super().on_response_complete()
        if self.lingering:
            return
        self._enter(None)
        if self.cycle.more_body:  # answered before all of it was there: the rest is not worth reading
            self.leave(self._plain)
        elif not self._plain.is_closing():
            self.guard.waits(self)
            self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed by whomever."""
        self._enter(None)
        self.guard.forget(self)
        super().connection_lost(exc)

    def cut(self, outcome: Outcome) -> None:
        """End the connection, whatever it does."""
        self.guard.counts.count(outcome)
        self._enter(None)
        if outcome == "slow_header" or (outcome == "slow_body" and not self.cycle.response_started):
            self._plain.write(_TIMED_OUT)
            self._plain.close()
        else:
            self._plain.abort()

    def leave(self, transport: asyncio.Transport) -> None:
        """Close, but let a sender that is still sending read the answer first."""
        if self.lingering or transport.is_closing():
            return
        if self.cycle is not None and self.cycle.more_body and self.cycle.response_complete:
            self.lingering = True
            self._enter(None)
            self._deadline = self.loop.call_later(_LINGER_S, transport.abort)
            if transport.can_write_eof():
                transport.write_eof()
            self.flow.resume_reading()
        else:
            transport.close()

    def _look(self) -> None:
        """Which deadline holds now."""
        cycle = self.cycle
        if self.lingering or self._plain.is_closing():
            return
        if cycle is None or cycle.response_complete:
            if self._phase != "head" and self.conn.trailing_data[0]:
                self._enter("head")
        elif cycle.more_body:
            if self._phase != "body" or self._request is not cycle:
                self._request = cycle
                self._enter("body")
        elif self._phase != "answer" or self._request is not cycle:
            self._request = cycle
            self.guard.works(self)
            self._enter("answer")

    def _enter(self, phase: Phase | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._phase = phase
        limits = self.guard.limits
        if phase == "head":
            self._deadline = self.loop.call_later(limits.head_s, self.cut, "slow_header")
        elif phase == "body":
            self._deadline = self.loop.call_later(limits.body_s, self.cut, "slow_body")
        elif phase == "answer":
            self._deadline = self.loop.call_later(limits.answer_s, self.cut, "slow_reader")


def application(receiver: Receiver, limits: Limits, counts: Counts) -> Starlette:
    """`POST /webhooks/{provider}`, and `GET /healthz`."""

    async def deliver(request: Request) -> Response:
        try:
            body = await _body(request, limits.body_bytes_max)
        except ClientDisconnect:
            return Response()  # nobody reads it
        if body is None:
            counts.count("too_large")
            return _response(_TOO_LARGE, close=True)
        answer = await receiver.receive(request.path_params["provider"], request.headers.raw, body)
        return _response(answer)

    async def health(_: Request) -> Response:
        content = {"ready": receiver.ready, "clock_skew_s": counts.skew_s, "outcomes": dict(counts.outcomes)}
        return JSONResponse(content, 200 if receiver.ready else 503)

    return Starlette(
        routes=[Route("/webhooks/{provider}", deliver, methods=["POST"]), Route("/healthz", health, methods=["GET"])]
    )


async def _body(request: Request, bytes_max: int) -> bytes | None:
    """The whole body, None when there is more than allowed, announced or not. Raises ClientDisconnect."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or len(announced) > len(str(bytes_max)) or int(announced) > bytes_max:
        return None
    parts: list[bytes] = []
    length = 0
    async for part in request.stream():
        length += len(part)
        if length > bytes_max:
            return None
        parts.append(part)
    return b"".join(parts)


def _response(answer: Answer, *, close: bool = False) -> Response:
    headers = {} if answer.retry_after_s is None else {"retry-after": str(answer.retry_after_s)}
    if close:
        headers["connection"] = "close"
    return PlainTextResponse(answer.text, answer.status, headers)


class Door(uvicorn.Server):
    """The server. It leaves the process's signals alone: who runs it sets `should_exit`."""

    def __init__(self, receiver: Receiver, limits: Limits, counts: Counts) -> None:
        protocol = type("GuardedProtocol", (Guarded,), {"guard": Connections(limits, counts)})
        super().__init__(
            uvicorn.Config(
                application(receiver, limits, counts),
                http=protocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=2_048,
                timeout_keep_alive=int(limits.idle_s),
                timeout_graceful_shutdown=int(limits.answer_s),
                h11_max_incomplete_event_size=_HEAD_BYTES_MAX,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield


def allow_files(connections_max: int, on_event: OnEvent) -> None:
    """Raise this process's limit of open files to what the connections need. Raises Refused."""
    wanted = connections_max + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    if hard < wanted and hard != resource.RLIM_INFINITY:
        raise Refused(
            f"WEBHOOK_CONNECTIONS_MAX: expected at most {hard - _SPARE_FILES} with a limit of {hard} open files, "
            f"was {connections_max}; lower it, or raise the limit (LimitNOFILE=, ulimit -n)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    on_event("limit of open files raised", was=soft, now=wanted)
