"""The loop around one TWS: connect, record live bars, fetch days after the close and those that are owed, say what failed.

`TwsService.run` ends when it is stopped or, with units given, when each of them is complete or has failed for good.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from producers.beat import Running
from producers.metrics import OnMetric
from producers.tws.client import Answer, Line, TwsClient, TwsUnavailable
from producers.tws.contracts import Spec
from producers.tws.fetch import Fetched, Fetcher
from producers.tws.keep import Keep
from producers.tws.pacing import Governor, Limits
from producers.tws.plan import Schedule, Unit
from producers.tws.recorder import Recorder
from topics.log import Appender
from topics.tws import TwsReason, TwsRequest, WhatToShow
from topics.units import NS_PER_S

BEAT_S = 1.0
ALIVE_EVERY = 10  # beats between two notes on disk that we live
_BASE_S, _CAP_S, _DOUBLINGS_MAX = 1.0, 60.0, 8
_FLUSH_S = 30.0


class TwsSettings(Struct, frozen=True):
    """What the service needs to know. folder: of its ledger. connects_max: failures in a row before a one-shot gives up.

    look_s: between two looks at the clock, so that a day's time is not missed where the clock is set.
    """

    host: str
    port: int
    client_id: int
    specs: dict[str, Spec]
    what_to_show: WhatToShow
    bar_size: str
    use_rth: bool
    live: bool
    parallel_max: int
    limits: Limits
    timeout_s: float
    attempts_max: int
    schedule: Schedule
    folder: Path
    partitions: int
    connect_timeout_s: float = 10.0
    connects_max: int = 5
    look_s: float = 10.0

    def units(self, day: str, symbols: Sequence[str] = ()) -> list[Unit]:
        """All that is recorded of a day, or some of it."""
        return [Unit(day, name, self.what_to_show, self.bar_size, self.use_rth) for name in symbols or self.specs]


class _Down(NamedTuple):
    """Why a connection ended. lived: it had begun."""

    error: TwsUnavailable
    lived: bool


def _first(group: BaseExceptionGroup[TwsUnavailable]) -> TwsUnavailable:
    """Tasks that end for one reason end in groups of groups."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


class TwsService:
    """Records until `stop`; with `units`, fetches those and ends.

    clock: of stamps, days and outages. wall_ns: the machine's, by which requests are paced.
    """

    def __init__(
        self,
        settings: TwsSettings,
        appender: Appender,
        clock: Running,
        *,
        wall_ns: Callable[[], int],
        rng: random.Random,
        stop: asyncio.Event,
        on_metric: OnMetric,
        units: Sequence[Unit] | None,
    ) -> None:
        self._results: dict[Unit, Fetched] = {}
        self._settings, self._appender, self._clock, self._rng = settings, appender, clock, rng
        self._wall_ns, self._stop, self._on_metric, self._units = wall_ns, stop, on_metric, units
        self._keep = Keep(settings.folder / "ledger.json", settings.schedule.zone)
        self._governor = Governor(settings.limits, self._keep.ledger.state.pacing)
        self._line_up = asyncio.Event()
        self._live: dict[int, str] = {}
        self._resubscribe = asyncio.Event()
        self._owed = asyncio.Event()
        self._ids = f"tws-{rng.getrandbits(32):08x}"
        self._connections = 0
        self._due_ns = 0

    async def run(self) -> dict[Unit, Fetched]:
        """Connect again and again, with full jitter. Returns how each unit ended, the last time.

        Raises TwsUnavailable when a one-shot cannot connect, Undelivered when the log does not confirm.
        """
        failures = 0
        self._was_away()
        try:
            while not self._stop.is_set() and not self._done():
                down = await self._connected_once()
                if down is None:
                    continue
                failures = 1 if down.lived else failures + 1
                if self._units is not None and failures >= self._settings.connects_max:
                    raise down.error
                pause_s = self._rng.random() * min(_CAP_S, _BASE_S * 2.0 ** min(failures, _DOUBLINGS_MAX))
                self._on_metric("tws.reconnect", failures=failures, pause_s=round(pause_s, 3), detail=str(down.error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), pause_s)
        finally:
            await asyncio.to_thread(self._appender.flush, _FLUSH_S)
            self._keep.save()
        return self._results

    def _done(self) -> bool:
        return self._units is not None and all(unit in self._results for unit in self._units)

    async def _connected_once(self) -> _Down | None:
        """One connection from its beginning to its end; None: its work is done, or we are stopped."""
        self._connections += 1
        conn = f"{self._ids}-{self._connections}"
        recorder = Recorder(self._appender, self._clock, conn=conn, partitions=self._settings.partitions)
        down: _Down | None = None
        try:
            await self._connection(recorder)
        except* TwsUnavailable as group:
            error = _first(group)
            down = _Down(error, lived=recorder.server != b"")
            self._lost(recorder, "disconnected", None, str(error))
        return down

    async def _connection(self, recorder: Recorder) -> None:
        settings = self._settings
        client = TwsClient(recorder, on_line=lambda line: self._line(recorder, line), on_live=self._live_lost)
        try:
            await client.connect(settings.host, settings.port, settings.client_id, settings.connect_timeout_s)
            self._on_metric("tws.connected", conn=recorder.conn, server=recorder.server.decode("ascii", "replace"))
            self._back(recorder, data_lost=None)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(client.listen()), group.create_task(self._beats(recorder))]
                if self._units is None and settings.live:
                    tasks.append(group.create_task(self._keep_live(client)))
                work = group.create_task(self._work(client, recorder))
                stopped = group.create_task(self._stop.wait())
                await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
                for task in (*tasks, work, stopped):
                    task.cancel()
            recorder.beat(bye=True)
        finally:
            client.close()
            self._live.clear()
            self._line_up.clear()

    async def _work(self, client: TwsClient, recorder: Recorder) -> None:
        """Units that were asked for; else those that are owed, and each day's after its close, until we are stopped."""
        settings, schedule = self._settings, self._settings.schedule
        fetcher = Fetcher(
            client,
            recorder,
            self._governor,
            self._keep,
            settings,
            now_ns=self._clock.now_ns,
            wall_ns=self._wall_ns,
            pause=asyncio.sleep,
            line_up=self._line_up.wait,
            chance=self._rng.random,
            flush=lambda: asyncio.to_thread(self._appender.flush, _FLUSH_S),
            on_metric=self._on_metric,
        )
        if self._units is not None:
            await fetcher.fetch([unit for unit in self._units if unit not in self._results], self._results)
            return
        while True:
            now_ns = self._clock.now_ns()
            if now_ns >= self._due_ns or self._owed.is_set():
                self._owed.clear()
                units = {one.unit for one in self._keep.ledger.owed() if one.unit.symbol in settings.specs}
                if now_ns >= self._due_ns:
                    units.update(settings.units(schedule.last_day(now_ns).isoformat()))
                due_ns = schedule.next_ns(now_ns)
                if units:
                    self._on_metric("tws.plan", units=len(units), first=min(units).date, last=max(units).date)
                    await fetcher.fetch(sorted(units), self._results)
                    self._results.clear()
                self._due_ns = due_ns
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._owed.wait(), settings.look_s)

    async def _beats(self, recorder: Recorder) -> None:
        beats = 0
        while True:
            recorder.beat()
            self._appender.poll()
            beats += 1
            if beats % ALIVE_EVERY == 0:
                self._keep.alive(self._clock.now_ns())
                self._on_metric("tws.alive", conn=recorder.conn, messages=recorder.messages, live=len(self._live))
            await asyncio.sleep(BEAT_S)

    # --- live bars ----------------------------------------------------------------------------------------------------

    async def _keep_live(self, client: TwsClient) -> None:
        """Ask for every symbol's growing bar, and again when that ends; its first answer holds the day before as well."""
        pause_s = BEAT_S
        while True:
            self._resubscribe.clear()
            await self._line_up.wait()
            for spec in [spec for name, spec in self._settings.specs.items() if name not in self._live.values()]:
                answer = await self._subscribe(client, spec)
                if answer.starts_s is None:
                    self._on_metric("tws.live_failed", symbol=spec.symbol, reason=answer.reason, code=answer.code)
            whole = len(self._live) == len(self._settings.specs)
            pause_s = BEAT_S if whole else min(_CAP_S, pause_s * 2)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._resubscribe.wait(), None if whole else pause_s)

    async def _subscribe(self, client: TwsClient, spec: Spec) -> Answer:
        settings = self._settings
        con_id, found = await client.contract_id(spec, settings.timeout_s)  # a bar's identity has it, live or not
        if con_id is None:
            return found
        request = TwsRequest(
            symbol=spec.symbol,
            con_id=con_id,
            what_to_show=settings.what_to_show,
            bar_size=settings.bar_size,
            use_rth=settings.use_rth,
            exchange=spec.exchange,
            end="",
            duration="1 D",
            keep_up_to_date=True,
        )
        await self._governor_s_leave(request)
        await self._line_up.wait()  # what is asked while the line is down is never answered
        try:
            req_id, first = client.live(spec, request)
            answer = await asyncio.wait_for(first, settings.timeout_s)
        except TimeoutError:
            return Answer(None, "timeout")
        except ConnectionError:
            return Answer(None, "disconnected")
        if answer.reason == "pacing":
            self._governor.violated(self._wall_ns())
        if answer.starts_s is not None:
            self._live[req_id] = spec.symbol
        return answer

    async def _governor_s_leave(self, request: TwsRequest) -> None:
        wait_ns = self._governor.wait_ns(request, self._wall_ns())
        while wait_ns > 0:
            await asyncio.sleep(wait_ns / NS_PER_S)
            wait_ns = self._governor.wait_ns(request, self._wall_ns())
        self._governor.made(request, self._wall_ns())
        self._keep.save()

    def _live_lost(self, req_id: int, reason: TwsReason) -> None:
        symbol = self._live.pop(req_id, None)
        if symbol is not None:
            self._on_metric("tws.live_failed", symbol=symbol, reason=reason, code=None)
            self._resubscribe.set()

    # --- the line -----------------------------------------------------------------------------------------------------

    def _line(self, recorder: Recorder, line: Line) -> None:
        if line.restored is None:
            self._line_up.clear()
            self._lost(recorder, "connectivity", line.code, line.text)
        else:
            if not line.restored:
                self._live.clear()
                self._resubscribe.set()
            self._back(recorder, data_lost=not line.restored)

    def _lost(self, recorder: Recorder, reason: TwsReason, code: int | None, text: str) -> None:
        notice = self._keep.ledger.line_lost(
            reason, now_ns=self._clock.now_ns(), conn=recorder.conn, code=code, text=text, symbols=self._settings.specs
        )
        if notice is not None:
            recorder.outage(notice)
            self._keep.save()
            self._on_metric("tws.outage", outage_id=notice.outage_id, reason=reason, code=code, text=text)

    def _back(self, recorder: Recorder, *, data_lost: bool | None) -> None:
        """An outage makes its days owed while we record: a one-shot owes no more than what it was asked for."""
        self._line_up.set()
        owed = self._settings.units("") if self._units is None else []
        notice = self._keep.ledger.line_back(now_ns=self._clock.now_ns(), data_lost=data_lost, days_of=owed)
        if notice is not None:
            recorder.outage(notice)
            self._keep.save()
            self._owed.set()
            seconds = ((notice.ended_ns or 0) - notice.started_ns) / NS_PER_S
            self._on_metric("tws.outage_end", outage_id=notice.outage_id, seconds=seconds, data_lost=data_lost)

    def _was_away(self) -> None:
        """Time in which no recorder ran is an outage like any other; its beginning is the last sign of life."""
        alive_ns = self._keep.ledger.state.alive_ns
        if self._units is None and alive_ns is not None and self._keep.ledger.state.open is None:
            self._keep.ledger.line_lost(
                "disconnected",
                now_ns=alive_ns,
                conn=self._ids,
                code=None,
                text="no recorder ran",
                symbols=self._settings.specs,
            )
