"""The socket around the session. The only module of producers that imports websockets, and no more than a loop.

Kalshi sends a Ping every 10 s (docs.kalshi.com, "Connection keep-alive", read 2026-11), which the library answers. We
send none of our own: a connection that shows neither frame nor Ping for `heartbeat_s` is left.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from producers.backoff import BASE_S, CAP_S, STABLE_S, Backoff
from producers.beat import Clock
from producers.kalshi.recorder import Recorder
from producers.kalshi.session import CHANNELS
from producers.kalshi.watch import Watch
from producers.metrics import OnMetric
from topics.errors import Refused, SettingsError, Unavailable
from topics.events import Channel
from topics.log import Appender
from topics.units import NS_PER_MS, NS_PER_S

FRAME_BYTES_MAX = 64 * 1024 * 1024  # the exchange's own limit; the library's default would close on a big snapshot
QUEUE_FRAMES = (512, 128)  # read ahead this far, then let TCP slow the exchange down
CLOSE_TIMEOUT_S = 2.0
CROWDED_PAUSE_S = 0.01
CROWDED_CHECK_FRAMES = 256
_NORMAL_CLOSURE = 1000
_UNAUTHORIZED = 401

End = Literal["stopped", "closed", "disconnect", "stall"]
Discover = Callable[[str], Awaitable[list[str]]]
T = TypeVar("T")


class Signer(Protocol):
    """Signs requests, see `producers.kalshi.auth`."""

    def headers(self, method: str, path: str, timestamp_ms: int) -> Mapping[str, str]:
        """The headers of one request."""


@dataclass(frozen=True, kw_only=True)
class SocketSettings:
    """What one recorder needs to know.

    url: the endpoint, `ws://` or `wss://`. partitions: of `raw.kalshi.ws`.
    tickers, series: what to watch; series need `discover`. channels: what to subscribe to.
    shard_count, shard_id: `WS_SHARD_COUNT`, `WS_SHARD_ID`. heartbeat_s: silence after which a connection is left.
    beat_interval_s, lease_s: see `producers.beat`. discovery_s: how often the series are listed again.
    backoff_*, stable_s, failure_*: see `producers.backoff`; `WS_FAILURE_THRESHOLD`,
    `WS_FAILURE_COOLDOWN_SECONDS`. journal_path: see `producers.kalshi.journal`.
    compression: offer permessage-deflate. proxy: URL of an HTTP or SOCKS proxy.
    """

    url: str
    partitions: int
    tickers: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = CHANNELS
    shard_count: int = 1
    shard_id: int = 0
    heartbeat_s: float = 25.0
    beat_interval_s: float = 1.0
    lease_s: float = 30.0
    discovery_s: float = 300.0
    backoff_base_s: float = BASE_S
    backoff_cap_s: float = CAP_S
    stable_s: float = STABLE_S
    failure_threshold: int = 10
    failure_cooldown_s: float = 60.0
    journal_path: Path | None = None
    compression: bool = True
    proxy: str | None = None

    def backoff(self) -> Backoff:
        """A fresh count of failures."""
        return Backoff(
            base_s=self.backoff_base_s,
            cap_s=self.backoff_cap_s,
            stable_s=self.stable_s,
            threshold=self.failure_threshold,
            cooldown_s=self.failure_cooldown_s,
        )


async def run(
    settings: SocketSettings,
    *,
    signer: Signer,
    appender: Appender,
    clock: Clock,
    now_ns: Callable[[], int],
    rng: random.Random,
    stop: asyncio.Event,
    on_metric: OnMetric,
    until_closed: bool = False,
    discover: Discover | None = None,
) -> None:
    """Record until `stop` is set, or until the exchange closes with code 1000 (`until_closed`, and always on a tape).

    clock: stamps records. now_ns: the wall, for signatures alone. rng: jitter and connection ids.
    discover: lists the open tickers of a series, raises Unavailable, and Refused for what asking again cannot mend.

    Raises Refused (HTTP 401, an error that repeating cannot mend), SettingsError, and Undelivered when the log did not
    confirm; then the journal tells the next run of it.
    """
    loop = _Loop(settings, signer=signer, now_ns=now_ns, rng=rng, stop=stop, on_metric=on_metric, discover=discover)
    listed = await loop.listed()
    if stop.is_set():
        return
    watch = Watch(
        [*settings.tickers, *listed],
        series=settings.series,
        shard_count=settings.shard_count,
        shard_id=settings.shard_id,
    )
    recorder = Recorder(
        appender,
        clock,
        watch,
        partitions=settings.partitions,
        on_metric=on_metric,
        channels=settings.channels,
        interval_ns=int(settings.beat_interval_s * NS_PER_S),
        lease_ns=int(settings.lease_s * NS_PER_S),
        journal_path=settings.journal_path,
    )
    await loop.record(recorder, until_closed=until_closed or clock.name == "tape")


class _Connection(ClientConnection):
    """A connection that knows when it last heard from its peer: frames, Pings, parts of either."""

    heard_s = 0.0

    def data_received(self, data: bytes) -> None:
        self.heard_s = self.loop.time()
        super().data_received(data)


class _Loop:
    def __init__(
        self,
        settings: SocketSettings,
        *,
        signer: Signer,
        now_ns: Callable[[], int],
        rng: random.Random,
        stop: asyncio.Event,
        on_metric: OnMetric,
        discover: Discover | None,
    ) -> None:
        if settings.series and discover is None:
            raise SettingsError("expected a way to list the markets of series, were none; set KALSHI_REST_URL")
        self._settings = settings
        self._signer = signer
        self._now_ns = now_ns
        self._rng = rng
        self._stop = stop
        self._on_metric = on_metric
        self._discover = discover
        self._time_s = asyncio.get_running_loop().time
        self._read_s = 0.0

    async def listed(self) -> list[str]:
        """The open tickers of all series, tried until they are there or we are stopped."""
        backoff = self._settings.backoff()
        while self._discover is not None and not self._stop.is_set():
            try:
                return await self._or_stop(self._list_all(self._discover)) or []
            except Unavailable as error:
                delay_s = backoff.failed(0.0, self._rng.random())
                self._on_metric("ws.discovery", failed=str(error), delay_s=delay_s)
                await self._pause(delay_s)
        return []

    async def _list_all(self, discover: Discover) -> list[str]:
        return [ticker for series in self._settings.series for ticker in await discover(series)]

    async def record(self, recorder: Recorder, *, until_closed: bool) -> None:
        """One connection after the other."""
        backoff = self._settings.backoff()
        discovery = asyncio.create_task(self._rediscover(recorder))
        try:
            while not self._stop.is_set():
                lived_s, end, detail = await self._attempt(recorder, discovery)
                if end == "stopped" or (end == "closed" and until_closed):
                    break
                recorder.lost("stall" if end == "stall" else "disconnect")
                await asyncio.to_thread(recorder.flush)  # the next journal forgets what this one covers
                delay_s = backoff.failed(lived_s, self._rng.random())
                self._on_metric("ws.reconnect", reason=end, detail=detail, delay_s=delay_s, failures=backoff.failures)
                await self._pause(delay_s)
        except Refused:
            recorder.refused()
            raise
        finally:
            await _cancel(discovery)
        recorder.end()

    async def _attempt(self, recorder: Recorder, discovery: "asyncio.Task[None]") -> tuple[float, End, str]:
        """One connection from handshake to end: how long it lived in seconds, how it ended, and in what words."""
        try:
            ws = await self._or_stop(self._connect())
        except (OSError, WebSocketException) as error:
            return 0.0, "disconnect", repr(error)
        if ws is None:
            return 0.0, "stopped", ""
        opened_s = self._read_s = self._time_s()
        conn = self._new_conn(recorder)
        try:
            recorder.opened(conn, _ns(opened_s))
            end = await self._serve(ws, recorder, discovery)
        finally:
            await ws.close()
        return self._time_s() - opened_s, end, f"code {ws.close_code} {ws.close_reason or ''}".rstrip()

    async def _connect(self) -> _Connection:
        settings = self._settings
        headers = self._signer.headers("GET", urlsplit(settings.url).path, self._now_ns() // NS_PER_MS)
        try:
            ws = await connect(
                settings.url,
                additional_headers=dict(headers),
                compression="deflate" if settings.compression else None,
                max_size=FRAME_BYTES_MAX,
                max_queue=QUEUE_FRAMES,
                ping_interval=None,
                close_timeout=CLOSE_TIMEOUT_S,
                proxy=settings.proxy,
                create_connection=_Connection,
            )
        except InvalidStatus as error:
            if error.response.status_code == _UNAUTHORIZED:
                raise Refused(
                    "Kalshi answered the handshake with HTTP 401; check KALSHI_API_KEY_ID, its private key, "
                    "and this machine's clock"
                ) from error
            raise
        assert isinstance(ws, _Connection)
        return ws

    async def _serve(self, ws: _Connection, recorder: Recorder, discovery: "asyncio.Task[None]") -> End:
        reader = asyncio.create_task(self._read(ws, recorder))
        ticker = asyncio.create_task(self._tick(ws, recorder))
        stopper = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({reader, ticker, stopper, discovery}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = [task for task in (reader, ticker, discovery) if task.done()]
            await _cancel(reader, ticker, stopper)
        for task in ended:
            if (error := task.exception()) is not None:
                raise error
        if reader in ended:
            return reader.result()
        return ticker.result() if ticker in ended else "stopped"

    async def _read(self, ws: _Connection, recorder: Recorder) -> End:
        try:
            await self._send(ws, recorder)
            while True:
                for _ in range(CROWDED_CHECK_FRAMES):
                    if recorder.frame(await ws.recv(decode=False)):
                        await self._send(ws, recorder)
                while recorder.crowded():  # the socket is not read meanwhile, so TCP slows the exchange down
                    await asyncio.sleep(CROWDED_PAUSE_S)
                    self._read_s = self._time_s()
        except ConnectionClosed as error:
            in_order = error.rcvd is not None and error.rcvd.code == _NORMAL_CLOSURE
            return "closed" if in_order else "disconnect"
        except TimeoutError:
            return "stall"

    async def _tick(self, ws: _Connection, recorder: Recorder) -> End:
        frames = recorder.stats.frames
        while True:
            await asyncio.sleep(self._settings.beat_interval_s)
            now_s = self._time_s()
            recorder.tick(_ns(now_s))
            try:
                await self._send(ws, recorder)
            except ConnectionClosed:
                await asyncio.sleep(CLOSE_TIMEOUT_S)  # the reader tells how it ended, once it has read what came before
                continue
            except TimeoutError:
                return "stall"
            if recorder.stats.frames != frames:  # what we had read ahead counts too, while the log held us up
                frames, self._read_s = recorder.stats.frames, now_s
            if now_s - max(ws.heard_s, self._read_s) > self._settings.heartbeat_s:
                return "stall"

    async def _send(self, ws: _Connection, recorder: Recorder) -> None:
        if recorder.refusal is not None:
            raise recorder.refusal
        if recorder.session is not None and recorder.session.commands_wait:
            async with asyncio.timeout(self._settings.heartbeat_s):
                for command in recorder.session.commands_to_send():
                    await ws.send(command, text=True)

    async def _rediscover(self, recorder: Recorder) -> None:
        while True:
            await asyncio.sleep(self._settings.discovery_s)
            for series in self._settings.series:
                assert self._discover is not None, "the constructor refuses series without it"
                try:
                    recorder.add(await self._discover(series))
                except (Unavailable, Refused) as error:  # what is subscribed is recorded all the same
                    self._on_metric("ws.discovery", failed=str(error), delay_s=self._settings.discovery_s)

    def _new_conn(self, recorder: Recorder) -> str:
        while recorder.is_known(conn := f"{self._rng.getrandbits(64):016x}"):
            pass
        return conn

    async def _pause(self, delay_s: float) -> None:
        await self._or_stop(asyncio.sleep(delay_s))

    async def _or_stop(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The work's result, None when we are told to stop before it is done."""
        task = asyncio.create_task(work)
        stopper = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stopper}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            done = task.done()
            await _cancel(stopper, *(() if done else (task,)))
        return task.result() if done else None


async def _cancel(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _ns(time_s: float) -> int:
    return int(time_s * NS_PER_S)
