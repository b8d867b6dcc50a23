"""The loop: one question at a time, at the throttle's pace; answers and beats to the log."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from producers.backoff import Backoff
from producers.beat import Beater
from producers.iem import checkpoint, network
from producers.iem.ask import Ask
from producers.iem.clock import Clock
from producers.iem.done import Of
from producers.iem.history import History
from producers.iem.live import Live
from producers.iem.look import Reply, outcome
from producers.iem.throttle import Throttle
from producers.iem.turns import Turns
from producers.metrics import OnMetric
from producers.publish import Outgoing, Publisher
from topics.catalog import RAW_IEM_CLI, RAW_IEM_MOS
from topics.errors import BadRecord
from topics.log import Appender
from topics.stations import StationUnresolved
from topics.units import NS_PER_MS, NS_PER_S

SOURCES = {RAW_IEM_MOS: "iem.mos", RAW_IEM_CLI: "iem.cli"}
BEAT_NS = 10 * NS_PER_S
LEASE_NS = 300 * NS_PER_S  # an answer may take a minute, and beats wait for it
IDLE_NS = NS_PER_S
_FLUSH_S = 120.0
_CHECKS_MAX = 5


class Gets(Protocol):
    """The door, or what stands in for it."""

    async def get(self, url: str) -> tuple[Reply, str]:
        """The answer, and in words why there was none."""


class Parts(NamedTuple):
    """What one producer asks and by which rules. live: None asks of history only. base_url: of the upstream.

    checkpoint: the file in which history notes what is done. log_id: of the log that it stands on.
    """

    live: Live | None
    history: History
    turns: Turns
    throttle: Throttle
    backoff: Backoff
    clock: Clock
    base_url: str
    checkpoint: Path
    log_id: str


class Poller:
    """Asks, appends, beats. conn: names this run of the producer. partitions: of each raw topic."""

    def __init__(
        self,
        parts: Parts,
        door: Gets,
        appender: Appender,
        *,
        conn: str,
        partitions: int,
        rng: random.Random,
        on_metric: OnMetric,
    ) -> None:
        self._parts = parts
        self._door = door
        self._appender = appender
        self._rng = rng
        self._on_metric = on_metric
        self._out = {
            topic: Publisher(
                appender, topic=topic, partitions=partitions, source=source, conn=conn, clock=parts.clock.name
            )
            for topic, source in SOURCES.items()
        }
        self._beaters = {
            topic: Beater(source, conn, interval_ns=BEAT_NS, lease_ns=LEASE_NS) for topic, source in SOURCES.items()
        }

    async def run(self, stop: asyncio.Event, *, until_done: bool = False) -> None:
        """Ask until `stop`, or until history is over. Raises Undelivered."""
        while not stop.is_set():
            self._beat()
            history = self._parts.history.next()
            if until_done and history is None:
                break
            now_ns = self._parts.clock.now_ns()
            live = None if self._parts.live is None else self._parts.live.next(now_ns)
            turn = self._parts.turns.next(live=live is not None, history=history is not None)
            asked = live if turn == "live" else history
            if asked is None or turn is None:
                await self._rest(stop, IDLE_NS)
                continue
            if await self._slot(stop):
                await self._ask(asked, of_history=turn == "history")
        self._bye()

    async def check(self, stations: Sequence[str], stop: asyncio.Event) -> None:
        """Hold the stations against IEM's own list, before anything is asked of them. Raises StationUnresolved.

        A list that does not come after some attempts is told and not waited for: the live runs would be missed.
        """
        for _ in range(_CHECKS_MAX):
            if not await self._slot(stop):
                return
            reply, problem = await self._door.get(self._parts.base_url.rstrip("/") + network.PATH)
            unlisted = network.unlisted(reply, stations)
            if unlisted:
                raise StationUnresolved(
                    f"IEM_STATIONS: expected stations of IEM's network NWSCLI, was {', '.join(unlisted)}; "
                    "see STATION_OVERRIDES, or set IEM_CHECK_STATIONS=0 for stations without climate reports"
                )
            self._on_metric("iem.stations", status=reply.status, listed=unlisted is not None, problem=problem)
            if unlisted is not None:
                return
            pause_s = self._parts.backoff.failed(0.0, self._rng.uniform(0.0, 1.0))
            self._parts.throttle.hold(self._parts.clock.now_ns(), int(pause_s * NS_PER_S))
        self._parts.backoff.failures = 0

    async def _slot(self, stop: asyncio.Event) -> bool:
        """Wait for a slot of the throttle; False when stopped meanwhile."""
        wait_ns = self._parts.throttle.reserve(self._parts.clock.now_ns())
        until_ns = self._parts.clock.now_ns() + wait_ns
        while (left_ns := until_ns - self._parts.clock.now_ns()) > 0 and not stop.is_set():
            await self._rest(stop, min(left_ns, BEAT_NS))
            self._beat()
        return not stop.is_set()

    async def _rest(self, stop: asyncio.Event, span_ns: int) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), self._parts.clock.wall_s(span_ns))

    async def _ask(self, asked: Ask, *, of_history: bool) -> None:
        clock, backoff = self._parts.clock, self._parts.backoff
        began_ns = clock.now_ns()
        reply, problem = await self._door.get(asked.url(self._parts.base_url))
        now_ns = clock.now_ns()
        out: Outgoing | None
        if of_history or self._parts.live is None:
            out = self._parts.history.answered(reply, now_ns)
        else:
            out = self._parts.live.answered(asked, reply, now_ns)
        said = outcome(reply, asked.kind)
        self._on_metric(
            "iem.answer",
            kind=asked.kind,
            station=asked.station,
            model=asked.model,
            status=reply.status,
            outcome=said,
            bytes=len(reply.body),
            ms=(now_ns - began_ns) // NS_PER_MS,
            problem=problem,
            history=of_history,
        )
        if said == "busy":
            pause_s = backoff.failed(0.0, self._rng.uniform(0.0, 1.0))
            self._parts.throttle.hold(now_ns, int(pause_s * NS_PER_S))
            self._on_metric("iem.backoff", failures=backoff.failures, pause_s=round(pause_s, 3), status=reply.status)
        else:
            backoff.failures = 0
        stands = out is None or self._put(asked, out)
        if of_history:
            self._note(began_ns, stands=stands)

    def _note(self, asked_ns: int, *, stands: bool) -> None:
        """Note the unit, behind its answer: a crash in between repeats it, and none is skipped."""
        history = self._parts.history
        self._appender.flush(_FLUSH_S)
        if stands and history.confirmed(asked_ns):
            checkpoint.save(self._parts.checkpoint, history.noted, Of(self._parts.base_url, self._parts.log_id))
        done, left, failed, skipped = history.progress()
        self._on_metric("iem.history", done=done, left=left, failed=len(failed), skipped=skipped)

    def _put(self, asked: Ask, out: Outgoing) -> bool:
        """Append; whether the answer stands there."""
        stands = True
        try:
            self._out[asked.topic].put(out)
        except BadRecord as error:  # more bytes than the log takes: nothing of the answer is there, and that is said
            self._out[asked.topic].put(out._replace(value=b""))
            self._on_metric("iem.answer", kind=asked.kind, station=asked.station, problem=str(error))
            stands = False
        self._out[asked.topic].poll()
        return stands

    def _beat(self) -> None:
        now_ns = self._parts.clock.now_ns()
        for topic, beater in self._beaters.items():
            if now_ns >= beater.due_ns:
                self._out[topic].put(Outgoing(beater.beat(now_ns, None), None, now_ns))

    def _bye(self) -> None:
        now_ns = self._parts.clock.now_ns()
        for topic, beater in self._beaters.items():
            self._out[topic].put(Outgoing(beater.bye(now_ns, None), None, now_ns))
        self._appender.flush(_FLUSH_S)
