"""A simulator beside other code in one event loop, for tests and rehearsals."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tapefold.simulators.kalshi.archive import Archive
from tapefold.simulators.kalshi.faults import Counters, Faults, RestFaults
from tapefold.simulators.kalshi.keys import ensure_keypair
from tapefold.simulators.kalshi.server import HEARTBEAT_S, serve

STOP_S_MAX = 10.0


@dataclass(frozen=True)
class Running:
    """A simulator that accepts connections. url: of the WebSocket. counters: counted into while it runs."""

    url: str
    key_id: str
    private_key_path: Path
    counters: Counters

    @property
    def http_url(self) -> str:
        """Scheme, host and port of the plain HTTP side, without a path."""
        return "http://" + self.url.removeprefix("ws://").partition("/")[0]


@asynccontextmanager
async def running(
    frames: Sequence[Path],
    *,
    state_folder: Path,
    clock_ms: Callable[[], int],
    speed: float | None = None,
    faults: Faults | None = None,
    seed: int = 1,
    heartbeat_s: float = HEARTBEAT_S,
    archive: Archive | None = None,
    rest_faults: RestFaults | None = None,
) -> AsyncIterator[Running]:
    """`server.serve` for the length of a block, with the throw-away key of `state_folder`; arguments as there.

    Raises on leaving what `serve` raised meanwhile, e.g. `BadRecording`.
    """
    key_id, private_key_path, public_key = ensure_keypair(state_folder)
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    counters = Counters()
    task = asyncio.create_task(
        serve(
            frames,
            public_key=public_key,
            key_id=key_id,
            speed=speed,
            faults=faults or Faults(),
            seed=seed,
            on_ready=url.set_result,
            clock_ms=clock_ms,
            heartbeat_s=heartbeat_s,
            stop=stop,
            counters=counters,
            archive=archive,
            rest_faults=rest_faults,
        )
    )
    waiting: set[asyncio.Future[str] | asyncio.Task[Counters]] = {task, url}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield Running(url.result(), key_id, private_key_path, counters)
    finally:
        stop.set()
        await asyncio.wait_for(task, STOP_S_MAX)
