"""The simulator's sockets: handshake, commands, heartbeat, and the plain HTTP beside them. Loopback only.

`serve` is the way in. The frames of `files` are played by `pump.Pump`, what is sent is decided by `exchange.Exchange`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric import rsa
from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_sockets
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from producers.kalshi.auth import KEY_HEADER, SignatureRefused, verify
from tapefold.simulators.kalshi.archive import Archive
from tapefold.simulators.kalshi.exchange import Exchange
from tapefold.simulators.kalshi.faults import Counters, Faults, RestFaults
from tapefold.simulators.kalshi.link import HoldableConnection, Link
from tapefold.simulators.kalshi.markets import error_body
from tapefold.simulators.kalshi.pump import END_CODE, END_REASON, Pump
from tapefold.simulators.kalshi.recording import find_files, scan_markets, timeline
from tapefold.simulators.kalshi.rest_door import RestDoor
from tapefold.simulators.kalshi.wire import SOCKET_PATH
from topics.units import NS_PER_MS

HOST = "127.0.0.1"

HEARTBEAT_S = 10.0
"""Seconds between two pings (asyncapi.yaml, control_frames)."""

SKEW_MS_MAX = 30_000
"""Accepted distance of a handshake's timestamp; the vendor documents none."""

WRITE_LIMIT_BYTES = 256 << 10
"""What may wait in a transport before the recording waits for the client: a few chunks, so that neither idles."""

CLOSE_S_MAX = 60.0
"""How long a slow client may take to read what was sent before the end of the recording."""

STOP_S_MAX = 2.0
"""How long clients may take to answer the close frame when the simulator itself is stopped."""


async def serve(
    frames: Sequence[Path],
    *,
    public_key: rsa.RSAPublicKey,
    key_id: str,
    port: int = 0,
    speed: float | None,
    faults: Faults,
    seed: int = 1,
    on_ready: Callable[[str], None],
    clock_ms: Callable[[], int],
    skew_ms_max: int = SKEW_MS_MAX,
    heartbeat_s: float = HEARTBEAT_S,
    stop: asyncio.Event | None = None,
    counters: Counters | None = None,
    archive: Archive | None = None,
    rest_faults: RestFaults | None = None,
    tape_ns: Callable[[], int] | None = None,
) -> Counters:
    """Simulate Kalshi until `stop` is set (or this task is cancelled); returns what was counted.

    frames: files or folders of a recording. speed: recorded seconds per second, `None` for as fast as clients take it.
    port: 0 for any free one. on_ready: called once with the WebSocket URL, when connections are accepted.
    archive: recorded REST answers, without which REST has the markets of the frames alone.
    clock_ms: Unix milliseconds, asked at each handshake. counters: counted into, for who wants to look on the way.
    tape_ns: the simulated time, by which REST's scenario goes; without it the time that the recording has reached.
    Raises `BadRecording` (also in mid-recording, when a line is no frame), OSError when the port is taken.
    """
    files = find_files(frames)
    tickers = await asyncio.to_thread(scan_markets, files)
    exchange = Exchange(faults, seed, counters)
    pump = Pump(exchange, files, speed)
    rest = RestDoor(
        archive,
        tickers,
        rest_faults or RestFaults(),
        exchange.counters,
        seed=seed,
        clock_ms=clock_ms,
        tape_ns=tape_ns or (lambda: exchange.position_ms * NS_PER_MS),
    )
    door = _Door(exchange, pump, rest, public_key=public_key, key_id=key_id, clock_ms=clock_ms, skew_ms_max=skew_ms_max)
    server = await _listen(door, port)
    tasks = [
        asyncio.create_task(pump.run(timeline(files))),
        asyncio.create_task(_beat(pump, heartbeat_s)),
        asyncio.create_task((stop or asyncio.Event()).wait()),
    ]
    try:
        on_ready(f"ws://{HOST}:{_port(server)}{SOCKET_PATH}")
        await _until_stopped(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _shut(server, pump)
    return exchange.counters


class _Door:
    """What happens at the door: who may come in, and what each client says."""

    def __init__(
        self,
        exchange: Exchange,
        pump: Pump,
        rest: RestDoor,
        *,
        public_key: rsa.RSAPublicKey,
        key_id: str,
        clock_ms: Callable[[], int],
        skew_ms_max: int,
    ) -> None:
        self._exchange = exchange
        self._pump = pump
        self._rest = rest
        self._public_key = public_key
        self._key_id = key_id
        self._clock_ms = clock_ms
        self._skew_ms_max = skew_ms_max

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """The HTTP side: `None` lets the handshake go on."""
        path, _, query = request.path.partition("?")
        if path == SOCKET_PATH:
            return self._refusal(connection, request)
        if path == "/health":
            return _json(connection, 200, b'{"status":"ok"}')
        if KEY_HEADER in request.headers and (refusal := self._unsigned(connection, request, path)) is not None:
            return refusal
        return _json(connection, *self._rest.reply(path, query))

    def _refusal(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._pump.in_outage():
            return _json(connection, 503, error_body("service_unavailable", "simulated outage"))
        return self._unsigned(connection, request, SOCKET_PATH)

    def _unsigned(self, connection: ServerConnection, request: Request, path: str) -> Response | None:
        """What a request gets whose signature does not hold."""
        headers = dict(request.headers.raw_items())
        now_ms = self._clock_ms() + (0 if path == SOCKET_PATH else self._rest.skew_ms())
        try:
            verify(self._public_key, headers, "GET", path, now_ms, self._skew_ms_max)
        except SignatureRefused as error:
            self._exchange.counters.refused += 1
            return _json(connection, 401, error_body("unauthorized", str(error)))
        if request.headers.get(KEY_HEADER) != self._key_id:
            self._exchange.counters.refused += 1
            return _json(connection, 401, error_body("unauthorized", f"key unknown: expected {self._key_id}"))
        return None

    async def attend(self, connection: ServerConnection) -> None:
        """One client, from the handshake to its end."""
        link = Link(cast("HoldableConnection", connection), self._exchange.connect())
        self._pump.links.append(link)
        try:
            with contextlib.suppress(ConnectionClosed):
                async for text in connection:
                    await self._obey(link, text)
        finally:
            self._pump.left(link)

    async def _obey(self, link: Link, text: str | bytes) -> None:
        subscribes, mending = self._exchange.subscribes, self._exchange.mending()
        link.session.receive(text)
        link.flush()
        if link.session.finished:
            await link.socket.close(END_CODE, END_REASON)
        elif self._exchange.subscribes != subscribes:
            self._pump.subscribed()
        elif mending or self._exchange.attention:
            self._pump.look()


async def _listen(door: _Door, port: int) -> Server:
    return await serve_sockets(
        door.attend,
        HOST,
        port,
        process_request=door.answer,
        create_connection=HoldableConnection,
        compression=None,
        ping_interval=None,
        close_timeout=CLOSE_S_MAX,
        write_limit=WRITE_LIMIT_BYTES,
        server_header=None,
    )


async def _beat(pump: Pump, heartbeat_s: float) -> None:
    while True:
        await asyncio.sleep(heartbeat_s)
        for link in pump.links:
            link.ping()


async def _until_stopped(tasks: Sequence[asyncio.Task[object]]) -> None:
    """Return when the last task ends; raise what any other raised. The recording may end before."""
    waiting = set(tasks)
    while tasks[-1] in waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


async def _shut(server: Server, pump: Pump) -> None:
    pump.stop()
    server.close()
    try:
        async with asyncio.timeout(STOP_S_MAX):
            await server.wait_closed()
    except TimeoutError:
        for link in list(pump.links):
            link.socket.transport.abort()
        await server.wait_closed()


def _port(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])


def _json(connection: ServerConnection, status: int, body: bytes) -> Response:
    response = connection.respond(status, body.decode())
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response
