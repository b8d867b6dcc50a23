"""Units fetched, several at once, each until it is complete or has failed for good."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from producers.metrics import OnMetric
from producers.tws import plan
from producers.tws.client import Answer, TwsUnavailable
from producers.tws.contracts import Spec
from producers.tws.keep import Keep
from producers.tws.pacing import Governor
from producers.tws.plan import Interval, Schedule, Unit
from producers.tws.reactions import REACTIONS, Reaction
from producers.tws.recorder import Recorder
from topics.tws import BAR_SIZES_NS, TwsReason, TwsRequest, TwsUnitNotice
from topics.units import NS_PER_S

_PAUSE_S_MAX = 300.0
_DOUBLINGS_MAX = 6


class Client(Protocol):
    """What is asked of a connection."""

    async def contract_id(self, spec: Spec, timeout_s: float) -> tuple[int | None, Answer]:
        """The contract's id, or why there is none."""

    async def history(self, spec: Spec, request: TwsRequest, timeout_s: float) -> Answer:
        """Bars, or why there are none."""


class Settings(Protocol):
    """What a fetch needs to know."""

    @property
    def specs(self) -> dict[str, Spec]: ...  # noqa: D102
    @property
    def parallel_max(self) -> int: ...  # noqa: D102
    @property
    def timeout_s(self) -> float: ...  # noqa: D102
    @property
    def attempts_max(self) -> int: ...  # noqa: D102
    @property
    def schedule(self) -> Schedule: ...  # noqa: D102


class Fetched(Struct, frozen=True):
    """How a unit ended. bars: finished ones of its day. reason None: they came."""

    status: Literal["complete", "failed"]
    reason: TwsReason | None
    bars: int
    attempts: int
    code: int | None = None
    text: str | None = None


class Fetcher:
    """Fetches over one connection.

    now_ns: the clock of days and stamps. wall_ns: the machine's; Interactive Brokers counts requests by its own, which no tape
    moves. pause: sleeps, for seconds. line_up: returns when TWS has its line. chance: uniform in [0, 1). flush: returns when the
    log has confirmed; only then is a unit marked as paid.
    """

    def __init__(
        self,
        client: Client,
        recorder: Recorder,
        governor: Governor,
        keep: Keep,
        settings: Settings,
        *,
        now_ns: Callable[[], int],
        wall_ns: Callable[[], int],
        pause: Callable[[float], Awaitable[None]],
        line_up: Callable[[], Awaitable[object]],
        chance: Callable[[], float],
        flush: Callable[[], Awaitable[None]],
        on_metric: OnMetric,
    ) -> None:
        self._client, self._recorder, self._governor, self._keep = client, recorder, governor, keep
        self._settings = settings
        self._now_ns, self._wall_ns = now_ns, wall_ns
        self._pause, self._line_up = pause, line_up
        self._chance, self._flush, self._on_metric = chance, flush, on_metric
        self._slots = asyncio.Semaphore(settings.parallel_max)

    async def fetch(self, units: Sequence[Unit], results: dict[Unit, Fetched]) -> None:
        """Fetch all into `results`. Raises TwsUnavailable, in a group, when the connection ends in the middle."""

        async def one(unit: Unit) -> None:
            async with self._slots:
                results[unit] = await self._unit(unit)

        async with asyncio.TaskGroup() as tasks:
            for unit in units:
                tasks.create_task(one(unit))

    async def _unit(self, unit: Unit) -> Fetched:
        spec = self._settings.specs[unit.symbol]
        attempts = 0
        while True:
            await self._line_up()
            when = plan.interval(unit, self._settings.schedule.zone, self._now_ns())
            request, answer = await self._ask(spec, unit, when)
            attempts += 1
            fetched = _judged(answer, when, attempts, unit, self._now_ns())
            if fetched.status == "complete":
                break
            assert fetched.reason is not None, "a failure has a reason"
            reaction = REACTIONS[fetched.reason]
            if fetched.reason == "disconnected":
                raise TwsUnavailable("the connection ended in the middle of a request")
            if fetched.reason == "pacing":
                self._governor.violated(self._wall_ns())
                self._on_metric("tws.pacing", symbol=unit.symbol, date=unit.date, code=fetched.code, text=fetched.text)
            attempts -= 0 if reaction.counts else 1
            if reaction.what == "give_up" or attempts >= self._settings.attempts_max:
                break
            await self._before_again(unit, fetched, reaction, attempts)
        return await self._ended(unit, request, when, fetched)

    async def _before_again(self, unit: Unit, fetched: Fetched, reaction: Reaction, attempts: int) -> None:
        pause_s = min(_PAUSE_S_MAX, reaction.pause_s * 2.0 ** min(attempts - 1, _DOUBLINGS_MAX)) * (
            0.5 + self._chance() / 2
        )
        self._on_metric(
            "tws.retry",
            symbol=unit.symbol,
            date=unit.date,
            reason=fetched.reason,
            code=fetched.code,
            pause_s=round(pause_s, 3),
        )
        await self._pause(pause_s)

    async def _ask(self, spec: Spec, unit: Unit, when: Interval) -> tuple[TwsRequest, Answer]:
        """One attempt: the contract's id, then the governor's leave, then the request."""
        now_ns = self._now_ns()
        con_id, answer = await self._client.contract_id(spec, self._settings.timeout_s)
        if con_id is None:
            return plan.request(unit, when, now_ns=now_ns, con_id=None), answer
        request = replace(
            plan.request(unit, when, now_ns=now_ns, con_id=con_id),
            sec_type=spec.sec_type,
            exchange=spec.exchange,
            currency=spec.currency,
        )
        while (wait_ns := self._governor.wait_ns(request, self._wall_ns())) > 0:
            self._on_metric("tws.paced", symbol=unit.symbol, date=unit.date, wait_s=round(wait_ns / NS_PER_S, 3))
            await self._pause(wait_ns / NS_PER_S)
        self._governor.made(request, self._wall_ns())
        self._keep.save()
        return request, await self._client.history(spec, request, self._settings.timeout_s)

    async def _ended(self, unit: Unit, request: TwsRequest, when: Interval, fetched: Fetched) -> Fetched:
        now_ns = self._now_ns()
        self._recorder.unit(
            TwsUnitNotice(
                request=request,
                date=unit.date,
                from_ns=when.from_ns,
                to_ns=when.to_ns,
                status=fetched.status,
                reason=fetched.reason,
                code=fetched.code,
                text=fetched.text,
                bars=fetched.bars,
                attempts=fetched.attempts,
                clock_ns=now_ns,
            )
        )
        await self._flush()
        if fetched.status == "complete":
            self._keep.ledger.paid(unit)
        elif fetched.reason is not None:
            self._keep.ledger.failed(unit, fetched.reason, now_ns)
        self._keep.save()
        self._on_metric(
            "tws.unit",
            symbol=unit.symbol,
            date=unit.date,
            status=fetched.status,
            reason=fetched.reason,
            code=fetched.code,
            bars=fetched.bars,
            attempts=fetched.attempts,
        )
        return fetched


def _judged(answer: Answer, when: Interval, attempts: int, unit: Unit, now_ns: int) -> Fetched:
    """Complete only on positive evidence: a finished bar of the day itself, or TWS's own word that there is none."""
    if answer.starts_s is None:
        assert answer.reason is not None, "no answer has a reason"
        what = "complete" if REACTIONS[answer.reason].what == "complete" else "failed"
        return Fetched(what, answer.reason, 0, attempts, answer.code, answer.text)  # type: ignore[arg-type]  # of two
    size_ns = BAR_SIZES_NS[unit.bar_size]
    starts_ns = [start_s * NS_PER_S for start_s in answer.starts_s]
    inside = [ns for ns in starts_ns if when.from_ns <= ns < when.to_ns and ns + size_ns <= now_ns]
    if inside:
        return Fetched("complete", None, len(inside), attempts)
    text = "an answer without bars" if not starts_ns else "bars of other days only"
    return Fetched("failed", "empty", 0, attempts, None, text)
