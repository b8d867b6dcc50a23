"""A recorder of the socket on a log in memory, against a server that follows a script."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from producers.beat import Clock, WallClock
from producers.kalshi.auth import SignatureRefused, Signer, verify
from producers.kalshi.socket import SocketSettings, run
from topics.catalog import RAW_KALSHI_WS
from topics.log import MemoryAppender, MemoryLog
from topics.units import NS_PER_MS

PATH = "/trade-api/ws/v2"
A = "KXHIGHNY-26AUG10-B85.5"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
Script = Callable[[ServerConnection], Awaitable[None]]


def now_ns() -> int:
    return time.time_ns()  # noqa: TID251  # the test is the machine here


async def subscribe(ws: ServerConnection) -> None:
    """Answer the one subscription."""
    command = json.loads(await ws.recv())
    message = {"channel": command["params"]["channels"][0], "sid": 1}
    await ws.send(json.dumps({"type": "subscribed", "id": command["id"], "msg": message}))


async def trade(ws: ServerConnection, seq: int) -> None:
    """One trade."""
    message = {"market_ticker": A, "ts_ms": 1_786_406_485_000 + seq}
    await ws.send(json.dumps({"type": "trade", "sid": 1, "seq": seq, "msg": message}))


async def two_trades_and_a_close(ws: ServerConnection) -> None:
    """A connection in good order."""
    await subscribe(ws)
    await trade(ws, 1)
    await trade(ws, 2)
    await ws.close(1000)


async def a_trade_and_a_cut(ws: ServerConnection) -> None:
    """A connection that breaks."""
    await subscribe(ws)
    await trade(ws, 1)
    await asyncio.sleep(0.02)
    ws.transport.abort()


async def a_trade_and_silence(ws: ServerConnection) -> None:
    """A connection that says nothing any more."""
    await subscribe(ws)
    await trade(ws, 1)
    await ws.wait_closed()


@asynccontextmanager
async def exchange(scripts: Sequence[Script], refusals: list[str]) -> AsyncIterator[str]:
    """A server that verifies signatures and gives each connection its script in turn."""
    left = list(scripts)

    async def attend(ws: ServerConnection) -> None:
        await left.pop(0)(ws)

    def door(ws: ServerConnection, request: Request) -> Response | None:
        try:
            verify(KEY.public_key(), dict(request.headers.raw_items()), "GET", PATH, now_ns() // NS_PER_MS, 5_000)
        except SignatureRefused as error:
            refusals.append(str(error))
            return ws.respond(401, "unauthorized")
        return None

    async with serve(attend, "127.0.0.1", 0, process_request=door, ping_interval=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}{PATH}"


class Bench:
    """One run of the recorder against scripts. settings: what differs from the defaults of the tests."""

    def __init__(self, *scripts: Script, clock: Clock | None = None, **settings: Any) -> None:
        self.log = MemoryLog()
        self.log.create({RAW_KALSHI_WS: {}}, 1)
        self.appender: MemoryAppender = self.log.appender()
        self.metrics: list[tuple[str, dict[str, object]]] = []
        self.refusals: list[str] = []
        self.pem = PEM
        self.stop_after_s: float | None = None
        self.discover: Callable[[str], Awaitable[list[str]]] | None = None
        self._scripts = scripts
        self._clock = clock or WallClock(now_ns)
        self._settings = replace(
            SocketSettings(
                url="",
                partitions=1,
                tickers=(A,),
                channels=("trade",),
                beat_interval_s=0.02,
                backoff_base_s=0.01,
                failure_threshold=0,
            ),
            **settings,
        )

    def run(self, *, until_closed: bool = True) -> None:
        """Run to the end."""
        asyncio.run(self._run(until_closed=until_closed))

    async def _run(self, *, until_closed: bool) -> None:
        stop = asyncio.Event()
        if self.stop_after_s is not None:
            asyncio.get_running_loop().call_later(self.stop_after_s, stop.set)
        async with exchange(self._scripts, self.refusals) as url, asyncio.timeout(10):
            await run(
                replace(self._settings, url=self._settings.url or url),
                signer=Signer("key-1", self.pem),
                appender=self.appender,
                clock=self._clock,
                now_ns=now_ns,
                rng=random.Random(1),
                stop=stop,
                on_metric=lambda name, **fields: self.metrics.append((name, fields)),
                until_closed=until_closed,
                discover=self.discover,
            )

    def story(self) -> list[str]:
        """What stands on the log, in order, in words; beats without a good-bye left out."""
        words = []
        for record in self.log.reader({(RAW_KALSHI_WS, 0): 0}).read(10_000, 0):
            kind = dict(record.headers)["kind"].decode()
            value = json.loads(record.value)
            match kind:
                case "frame":
                    words.append(f"{value['type']} {value.get('seq', '')}".strip())
                case "gap":
                    words.append(f"gap {value['kind']} from {value['from_seq']}")
                case "coverage":
                    words.append(f"coverage {value['ended_by'] or 'begins'}")
                case "beat" if value["bye"]:
                    words.append("bye")
        return words


OPENING = ["subscribed", "coverage begins", "trade 1"]
