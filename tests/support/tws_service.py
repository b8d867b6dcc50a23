"""The TWS producer against the simulator, on a log in memory."""

import asyncio
import contextlib
import random
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

from producers.beat import WallClock
from producers.tws import contracts, plan
from producers.tws.pacing import Limits
from producers.tws.run import TwsService, TwsSettings
from stream_processors.ingest import ingest
from tapefold import wiring
from tapefold.simulators.tws.faults import Counters, Faults
from tapefold.simulators.tws.server import serve
from tapefold.simulators.tws.world import made_up
from topics.catalog import RAW_TWS
from topics.codec import decode_dead, decode_fact
from topics.log import MemoryLog

DAY = date(2025, 1, 13)
S = 1_000_000_000


def settings(port: int, folder: Path, **over: Any) -> TwsSettings:
    """Quick ones: a fault is met within tenths of a second."""
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "client_id": 17,
        "specs": contracts.specs("AAPL,MSFT"),
        "what_to_show": "TRADES",
        "bar_size": "1 min",
        "use_rth": True,
        "live": False,
        "parallel_max": 3,
        "limits": Limits(S // 2, 60, S // 5),
        "timeout_s": 3.0,
        "attempts_max": 3,
        "schedule": plan.schedule("16:30", "America/New_York"),
        "folder": folder,
        "partitions": 2,
        "connect_timeout_s": 3.0,
        "look_s": 0.1,
    }
    return TwsSettings(**(values | over))


class Recorded:
    """What a run left: results, facts by type, refusals, metrics, what the simulator counted."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.log.create({RAW_TWS: {}}, 2)
        self.results: dict[Any, Any] = {}
        self.counters = Counters()
        self.metrics: list[tuple[str, dict[str, Any]]] = []
        self._awaited: tuple[str, asyncio.Event] | None = None

    def records(self) -> list[Any]:
        """All raw records."""
        return self.log.reader({(RAW_TWS, number): 0 for number in range(2)}).read(100_000, 0)

    def facts(self, kind: type) -> list[Any]:
        """The facts of one type, in the order of the log."""
        told = [output for record in self.records() for output in ingest(RAW_TWS, record.partition, 2, [record])]
        assert [] == [decode_dead(output.value) for output in told if output.topic == "dead"]
        return [fact for fact in (decode_fact(output.value) for output in told) if isinstance(fact, kind)]

    def named(self, name: str) -> list[dict[str, Any]]:
        """The metrics of one name."""
        return [fields for metric, fields in self.metrics if metric == name]

    def tell(self, name: str, **fields: Any) -> None:
        """Take a metric."""
        self.metrics.append((name, fields))
        if self._awaited is not None and self._awaited[0] == name:
            self._awaited[1].set()

    async def heard(self, name: str, timeout_s: float = 10.0) -> None:
        """Return when a metric of this name comes."""
        self._awaited = (name, asyncio.Event())
        await asyncio.wait_for(self._awaited[1].wait(), timeout_s)

    def by_name(self) -> Counter[str]:
        """How often each metric was told."""
        return Counter(name for name, _ in self.metrics)


@contextlib.asynccontextmanager
async def simulator(faults: Faults, counters: Counters, **over: Any) -> Any:
    """A simulator of two symbols and a week; its port."""
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    world = over.pop("world", None) or made_up(["AAPL", "MSFT"], DAY, 5, seed=1)
    task = asyncio.create_task(
        serve(
            world, faults=faults, on_ready=lambda _, port: ready.set_result(port), stop=stop, counters=counters, **over
        )
    )
    try:
        yield await ready
    finally:
        stop.set()
        await task


async def one_shot(
    folder: Path,
    days: list[str],
    faults: Faults | None = None,
    *,
    symbols: tuple[str, ...] = (),
    simulated: Any = None,
    **over: Any,
) -> Recorded:
    """Fetch days of symbols; what came of it."""
    recorded = Recorded()
    async with simulator(faults or Faults(), recorded.counters, **(simulated or {})) as port:
        configured = settings(port, folder, **over)
        units = [unit for day in days for unit in configured.units(day, symbols)]
        recorded.results = await start(configured, recorded, units=units)
    return recorded


async def start(configured: TwsSettings, recorded: Recorded, **over: Any) -> Any:
    """Run the service."""
    said = {"units": None, "stop": asyncio.Event(), "clock": WallClock(wiring.now_ns), "wall_ns": wiring.now_ns} | over
    clock = said.pop("clock")
    service = TwsService(
        configured, recorded.log.appender(), clock, rng=random.Random(1), on_metric=recorded.tell, **said
    )
    return await service.run()
