"""Asking with patience: within the budget, again after what may pass, not at all while the breaker is open."""

import asyncio
import random
import time

from producers.backoff import Backoff, Breaker
from producers.kalshi.rest.budget import Budget, Lane
from producers.kalshi.rest.door import Answer, Door, NoAnswer
from producers.kalshi.rest.pages import Listing, NotAListing
from producers.metrics import OnMetric
from topics.errors import Unavailable

ATTEMPTS_MAX = 6  # with full jitter up to 30 s: about half a minute, then the breaker counts and the loop comes back
_OK = 200
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})  # all others say that asking again brings the same


class Refusal(Exception):
    """The exchange answered, and asking again will not help: `answer` is its word, or what is wrong with the listing."""

    def __init__(self, answer: Answer, detail: str) -> None:
        super().__init__(f"{answer.url}: HTTP {answer.status}: {detail}")
        self.answer = answer


class Asker:
    """One host, one budget, one breaker, one request at a time."""

    def __init__(
        self, door: Door, budget: Budget, breaker: Breaker, *, rng: random.Random, on_metric: OnMetric
    ) -> None:
        self._door = door
        self._budget = budget
        self._breaker = breaker
        self._rng = rng
        self._on_metric = on_metric
        self._turn = asyncio.Lock()

    async def get(self, path: str, lane: Lane) -> Answer:
        """The answer, HTTP 200. Raises Refusal for a terminal status, Unavailable when the attempts are used up.

        While the breaker is open this waits: nothing is asked, and no attempt is counted.
        """
        backoff = Backoff()
        said = ""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            answer, said = await self._once(path, lane)
            if answer is not None:
                if answer.status == _OK:
                    return answer
                raise Refusal(answer, said)
            wait_s = backoff.failed(0.0, self._rng.random())
            self._on_metric("rest.retry", url=path, attempt=attempt, said=said, wait_s=round(wait_s, 3))
            if attempt < ATTEMPTS_MAX:
                await asyncio.sleep(wait_s)
        raise Unavailable("Kalshi REST", f"{path}: {ATTEMPTS_MAX} attempts, the last: {said}")

    async def listing(self, listing: Listing, lane: Lane) -> list[Answer]:
        """All pages, or none: a page that fails raises (Refusal, Unavailable), and what came before is let go."""
        answers = []
        while not listing.done:
            answer = await self.get(listing.url, lane)
            try:
                listing.take(answer.body)
            except NotAListing as error:
                raise Refusal(answer, error.detail) from error
            answers.append(answer)
        return answers

    async def _once(self, path: str, lane: Lane) -> tuple[Answer | None, str]:
        """An answer that stands, or None and why; in words what it said."""
        while True:
            async with self._turn:
                wait_s = self._breaker.wait_s(time.monotonic()) or self._budget.draw(lane, time.monotonic())
                if not wait_s:
                    return await self._ask(path)
            await asyncio.sleep(wait_s)  # without the turn: backfill that waits must not hold up what is live

    async def _ask(self, path: str) -> tuple[Answer | None, str]:
        try:
            answer = await self._door.get(path)
        except NoAnswer as error:
            self._failed()
            return None, error.detail
        said = answer.body[:200].decode(errors="replace")
        if answer.status in _RETRYABLE:
            self._failed()
            return None, f"HTTP {answer.status}: {said}"
        self._breaker.succeeded()
        return answer, said

    def _failed(self) -> None:
        if self._breaker.failed(time.monotonic()):
            self._on_metric("rest.breaker", state="open", failures=self._breaker.failures, opened=self._breaker.opened)
