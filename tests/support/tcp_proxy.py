"""A proxy between a client and the store that breaks connections in the ways in which networks do."""

import asyncio
import contextlib
import random
import threading
from typing import Self
from urllib.parse import urlsplit

FAULTS = ("cut", "no answer", "half close")


class FaultyProxy:
    """Forwards 127.0.0.1:port to `url`; each connection meets a fault with the probability `faults`.

    cut: both sides are closed after so many bytes of requests. no answer: what the store says is swallowed, then the
    connection closed, so the client can not know how its request ended. half close: the client's side ends alone.
    """

    def __init__(self, url: str, *, seed: int, faults: float) -> None:
        self.target(url)
        self._rng = random.Random(seed)
        self.faults = faults
        self.met: dict[str, int] = dict.fromkeys(FAULTS, 0)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = ""

    def target(self, url: str) -> None:
        """Forward to another address from now on."""
        address = urlsplit(url)
        self._target = (address.hostname, address.port)

    def __enter__(self) -> Self:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop).result(
            10
        )
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self._rng.choice(FAULTS) if self._rng.random() < self.faults else None
        after_bytes = int(10 ** self._rng.uniform(1, 5))
        try:
            store_reader, store_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        down = asyncio.create_task(self._down(store_reader, writer, swallow=fault == "no answer"))
        passed = 0
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(4096):
                store_writer.write(piece)
                await store_writer.drain()
                passed += len(piece)
                if fault is not None and passed >= after_bytes:
                    self.met[fault] += 1
                    if fault == "no answer":
                        await asyncio.sleep(0.3)
                    break
        if fault == "half close" and passed >= after_bytes:
            with contextlib.suppress(OSError):
                store_writer.write_eof()
            await asyncio.sleep(0.2)
        down.cancel()
        store_writer.close()
        writer.close()

    async def _down(self, store_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, swallow: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await store_reader.read(65_536):
                if not swallow:
                    writer.write(piece)
                    await writer.drain()
        writer.close()
