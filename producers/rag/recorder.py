"""The loop: features as known now, a question for each series, the answer onto the log as it came.

A predictor that fails is asked again with full jitter, and never before it said (`Retry-After`); after `threshold` failures
in a row nobody asks it for a while, and the question is given up: a later one has a later as-of time. An answer that cannot be
used is kept, too, and is refused on the log; it counts as a failure.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from producers.backoff import CAP_S, Backoff, Breaker
from producers.beat import Beater
from producers.metrics import OnMetric
from producers.publish import Outgoing, Publisher
from producers.rag.door import Answer, Door, NoAnswer
from producers.rag.question import Features, Question
from producers.together import first_of
from topics.errors import Unavailable
from topics.events import BeatNotice
from topics.log import Appender
from topics.units import NS_PER_S

SOURCE = "rag"
LEASE_NS = 60 * NS_PER_S  # an append may wait for the log as long, and beats wait for it
ATTEMPTS_MAX = 3
_BEAT_S = 10.0
_FLUSH_S = 60.0
_OK = 200
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})

Look = Callable[[str, int], Awaitable[Features]]
"""Features of a series as known at a time in nanoseconds. Raises Unavailable."""


class _Answered(msgspec.Struct):
    model_version: str
    predictions: list[msgspec.Raw]


class Recorder:
    """Predictions of some series. now_ns: the clock of as-of times and stamps. time_s: a steady one, for the breaker.

    runs, failures: answers that could be used, and tries that brought none, since the start. given_up: questions that
    have no answer, or none that can be used; last_error: of the last of them.
    """

    def __init__(
        self,
        door: Door,
        breaker: Breaker,
        publisher: Publisher,
        appender: Appender,
        series: Sequence[str],
        *,
        look: Look,
        now_ns: Callable[[], int],
        time_s: Callable[[], float],
        rng: random.Random,
        on_metric: OnMetric,
        lease_ns: int = LEASE_NS,
    ) -> None:
        self.runs = 0
        self.failures = 0
        self.given_up = 0
        self.last_error = ""
        self._not_before_s = 0.0  # by the steady clock: the predictor said so
        self._door = door
        self._breaker = breaker
        self._publisher = publisher
        self._appender = appender
        self._series = series
        self._look = look
        self._now_ns = now_ns
        self._time_s = time_s
        self._rng = rng
        self._on_metric = on_metric
        self._beater = Beater(SOURCE, publisher.conn, lease_ns=lease_ns)
        self._asked_ns: int | None = None  # of the question whose answer is not on the log yet

    async def run(self, stop: asyncio.Event, *, interval_s: float, once: bool) -> None:
        """A round every `interval_s`, until `stop`, or one round. Raises Undelivered."""
        await first_of(self._rounds(stop, interval_s, once=once), self._beats(), stop.wait())
        self._beat(self._beater.bye)
        self._appender.flush(_FLUSH_S)

    async def _rounds(self, stop: asyncio.Event, interval_s: float, *, once: bool) -> None:
        while not stop.is_set():
            for series_ticker in self._series:
                if wait_s := self._wait_s():
                    self._give_up(f"{series_ticker}: nobody is asked for {wait_s:.0f} s")
                else:
                    await self._guarded(series_ticker)
            if once:
                return
            pause_s = max(interval_s, self._wait_s())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_s)

    def _wait_s(self) -> float:
        """Seconds for which nobody may be asked."""
        return max(self._breaker.wait_s(self._time_s()), self._not_before_s - self._time_s(), 0.0)

    def _give_up(self, error: str) -> None:
        self.given_up += 1
        self.last_error = error

    async def _guarded(self, series_ticker: str) -> None:
        try:
            await self.predict(series_ticker)
        except Unavailable as error:
            self._give_up(str(error))
            self._on_metric("rag.failed", series=series_ticker, error=str(error), failures=self.failures)
        finally:
            self._asked_ns = None

    async def predict(self, series_ticker: str) -> None:
        """One run. Raises Unavailable when the store or the predictor does not answer."""
        self._asked_ns = asof_ns = self._now_ns()
        about = await self._look(series_ticker, asof_ns)
        if not about.markets:
            self._told(series_ticker, "", asof_ns, markets=0, predictions=0)
            return
        question = Question(f"{self._publisher.conn}-{asof_ns}-{series_ticker}", series_ticker, asof_ns, about)
        answer = await self._ask(question)
        headers = question.headers(answer.status)
        self._publisher.put(Outgoing(answer.body, series_ticker.encode(), answer.received_ns, headers=headers))
        self._appender.flush(_FLUSH_S)
        predictions, wrong = _told_by(answer)
        if wrong:
            said = answer.body[:200].decode(errors="replace")
            self._on_metric("rag.refused", run_id=question.run_id, error=wrong, said=said)
            self._give_up(f"{question.run_id}: {wrong}: {said}")
            self._failed()
            return
        self._breaker.succeeded()
        self.runs += 1
        self._told(series_ticker, question.run_id, asof_ns, markets=len(about.markets), predictions=predictions)

    def _told(self, series_ticker: str, run_id: str, asof_ns: int, *, markets: int, predictions: int) -> None:
        self._on_metric(
            "rag.predictions",
            series=series_ticker,
            run_id=run_id,
            asof_ns=asof_ns,
            markets=markets,
            predictions=predictions,
            runs=self.runs,
            failures=self.failures,
        )

    async def _ask(self, question: Question) -> Answer:
        """An answer that asking again would not change. Raises Unavailable."""
        body, backoff, said = question.body(), Backoff(), ""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            told_s = 0.0
            try:
                answer = await self._door.post(body)
            except NoAnswer as error:
                said = error.detail
            else:
                if answer.status not in _RETRYABLE:
                    return answer
                said = f"HTTP {answer.status}: {answer.body[:200].decode(errors='replace')}"
                told_s = answer.retry_after_s or 0.0
                self._not_before_s = max(self._not_before_s, self._time_s() + told_s)
            if self._failed():
                break
            wait_s = max(backoff.failed(0.0, self._rng.random()), told_s)
            self._on_metric(
                "rag.retry", run_id=question.run_id, attempt=attempt, said=said, wait_s=round(wait_s, 3),
                failures=self.failures,
            )  # fmt: skip
            if told_s > CAP_S:
                break  # so late its as-of time would be old
            if attempt < ATTEMPTS_MAX:
                await asyncio.sleep(wait_s)
        raise Unavailable("the predictor", f"{question.run_id}: the last of {attempt} attempts: {said}")

    def _failed(self) -> bool:
        """Count a failure; whether nobody may ask now."""
        self.failures += 1
        opened = self._breaker.failed(self._time_s())
        if opened:
            self._on_metric("rag.breaker", state="open", failures=self._breaker.failures, opened=self._breaker.opened)
        return opened

    async def _beats(self) -> None:
        while True:
            self._beat(self._beater.beat)
            await asyncio.sleep(_BEAT_S)

    def _beat(self, say: Callable[[int, int | None], BeatNotice]) -> None:
        now_ns = self._now_ns()
        self._publisher.put(Outgoing(say(min(now_ns, self._asked_ns or now_ns), None), None, now_ns))


def _told_by(answer: Answer) -> tuple[int, str]:
    """How many predictions an answer has, and why it cannot be used; the parser looks at each of them."""
    if answer.status != _OK:
        return 0, f"HTTP {answer.status}"
    try:
        return len(msgspec.json.decode(answer.body, type=_Answered).predictions), ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return 0, str(error)
