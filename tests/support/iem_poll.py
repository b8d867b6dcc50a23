"""The IEM producer against the simulated upstream, over HTTP, onto a log in memory."""

import asyncio
import random

import msgspec

from producers.backoff import Backoff
from producers.iem.clock import Clock
from producers.iem.done import Checkpoint, Done
from producers.iem.door import Door
from producers.iem.history import History, windows, years
from producers.iem.live import Live
from producers.iem.poll import Parts, Poller
from producers.iem.throttle import Throttle
from producers.iem.turns import Turns
from stream_processors.ingest import ingest
from tapefold.simulators.iem.faults import Faults
from tapefold.simulators.iem.generated import Chances, Generated
from tapefold.simulators.iem.server import Simulator, serve
from topics.catalog import DEAD, RAW_IEM_CLI, RAW_IEM_MOS
from topics.codec import decode_fact
from topics.log import MemoryLog
from topics.units import NS_PER_HOUR

S = 10**9
START = 1_768_478_400 * S  # 2026-01-15 12:00Z


STEP_NS = 2 * S  # each look at the clock takes so long: time goes on with what is done, not with the machine


class StepClock(Clock):
    """The tape's time as a function of how often it was asked for; waiting takes no time of ours."""

    def __init__(self, end_ns):
        self.asked = 0
        self.end_ns = end_ns
        self.stop = asyncio.Event()
        super().__init__(self._step, name="tape")

    def _step(self):
        self.asked += 1
        now = START + self.asked * STEP_NS
        if now >= self.end_ns:
            self.stop.set()
        return now

    def wall_s(self, tape_ns):  # noqa: D102
        self.asked += int(tape_ns // STEP_NS)
        return 0.0


def noted(path):
    """What stands in the checkpoint; each simulator has a port of its own, so its address is not held against it."""
    return Done(msgspec.json.decode(path.read_bytes(), type=Checkpoint)) if path.exists() else Done()


def recorded(tmp_path, *, span_ns=None, live_h=None, faults=None, chances=None, check=(), log=None, says=None):
    """Run simulator and producer on one clock; returns records by topic, the simulator, the parts, metrics.

    live_h: watch for so many hours of the tape; None: history alone, until it is over. log: one that earlier runs filled.
    says: called with each metric beside the list.
    """
    if log is None:
        log = MemoryLog()
        log.create({RAW_IEM_MOS: {}, RAW_IEM_CLI: {}}, 1)
    metrics = []

    def said(name, **fields):
        metrics.append((name, fields))
        if says is not None:
            says(name)

    async def main():
        clock = StepClock(2**62 if live_h is None else START + live_h * NS_PER_HOUR)
        holdings = Generated(["KNYC", "KMIA"], seed=7, chances=chances or Chances())
        simulator = Simulator(holdings, clock, faults=faults or Faults(), seed=7)
        stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
        server = asyncio.create_task(serve(simulator, port=0, on_ready=url.set_result, stop=stop))
        base = await url
        stations, models = ["KNYC", "KMIA"], ["GFS", "NBS"]
        units = [] if span_ns is None else [*windows(stations, models, *span_ns), *years(["KNYC"], *span_ns)]
        live = Live(stations, models, poll_ns=300 * S, reports_ns=600 * S, base_url=base)
        parts = Parts(
            live=None if live_h is None else live,
            history=History(units, base_url=base, lags={}, noted=noted(tmp_path / "history.json")),
            turns=Turns(3),
            throttle=Throttle(tmp_path / "t", 5 * S),
            backoff=Backoff(base_s=1.0, cap_s=10.0),
            clock=clock,
            base_url=base,
            checkpoint=tmp_path / "history.json",
            log_id="memory",
        )
        door = Door()
        poller = Poller(
            parts,
            door,
            log.appender(),
            conn="c1",
            partitions=1,
            rng=random.Random(1),
            on_metric=said,
        )
        try:
            if check:
                await poller.check(check, clock.stop)
            await poller.run(clock.stop, until_done=live_h is None)
        finally:
            await door.aclose()
            stop.set()
            await server
        return simulator, parts

    simulator, parts = asyncio.run(main())
    records = {topic: log._topic(topic)[0] for topic in (RAW_IEM_MOS, RAW_IEM_CLI)}
    return records, simulator, parts, metrics


def facts(records):
    """What ingest tells of the records, and what it refuses."""
    told, dead = [], []
    for topic, some in records.items():
        for output in ingest(topic, 0, 1, some):
            (dead if output.topic == DEAD else told).append(output.value)
    return [decode_fact(value) for value in told], dead
