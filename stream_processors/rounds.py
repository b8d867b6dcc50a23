"""Rounds: the batches at hand are worked on together and share the log's confirmations.

Per round, in this order: work; append the rows and wait until the log confirmed them; store the states and wait for that
too; ack. A kill between any two repeats work and loses none. While one round waits for the log, the next one is worked
on; it appends nothing before the one ahead of it is done.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import structlog

from stream_processors.outputs import Output
from stream_processors.stages import Done, Pairs
from topics.catalog import SCHEMA_HEADER
from topics.log import Appender

BATCHES_MAX = 16  # of one round, and as many that wait for the next
FLUSH_TIMEOUT_S = 120.0

log = structlog.get_logger("agents")


class Stage(Protocol):
    """See `stages`."""

    def work(self, batches: Iterable[Any]) -> Done:
        """All rows and changed states of the batches. Each is emptied when the next one is asked for."""

    def forget(self, numbers: Iterable[int] | None = None) -> None:
        """Drop what is kept of these partition numbers, or of all."""


class Store(Protocol):
    """Where states live."""

    def append(self, number: int, pairs: Pairs) -> None:
        """Queue the states of a partition number for its changelog, and make them what `load` gives."""

    def confirmed(self) -> None:
        """All that was appended is on the log."""


class Group(Protocol):
    """The consumer group as this worker sees it."""

    def check(self) -> None:
        """Called before anything is appended; ends the process when it was away too long to be a member."""

    def generation(self) -> int:
        """The generation that holds now; what was fetched in another is read again by whoever owns it."""

    async def settled(self) -> None:
        """Return when no rebalance is under way."""

    def owned(self, event: Any) -> bool:
        """Whether the event's partition is still ours."""

    def committed(self, tp: Any) -> int | None:
        """The committed offset of a source partition, None where there is none yet."""

    async def read_from(self, tp: Any, offset: int) -> int:
        """Fetch a partition again from `offset`; returns the first offset at or after it that the log still has."""


def _let_go(events: Iterable[Any]) -> Iterator[Any]:
    """The batches, each emptied when the next one is asked for: what is read again comes from the log.

    Kept until the ack, a round's records took a tenth of the worker's time in fresh pages of memory.
    """
    for event in events:
        yield event.message
        event.message.value.contents.clear()


class Rounds:
    """Takes events one at a time by `put`, works them off by `run`. An event has `message` (the batch) and `ack()`.

    Faust now and then loses sight of a batch; the ack of the next one would commit past it. So each partition's batches
    must join on: what does not is left, and the partition read again from where it tore.

    on_told: is shown the rows of each round when the log has confirmed them.
    """

    def __init__(
        self,
        stage: Stage,
        appender: Appender,
        group: Group,
        store: Store | None,
        on_told: Callable[[Sequence[Output]], None] = lambda _: None,
    ) -> None:
        self._stage = stage
        self._appender = appender
        self._group = group
        self._store = store
        self._on_told = on_told
        self._waiting: deque[Any] = deque()
        self._came = asyncio.Event()
        self._room = asyncio.Event()
        self._generation: int | None = None
        self._next: dict[Any, int] = {}
        self._asked: dict[Any, int] = {}
        self._epoch = 0
        self._left: dict[int, int] = {}

    async def put(self, event: Any) -> None:
        """Hand over an event; waits while as many wait as a round takes."""
        if not await self._joins(event.message):
            return
        self._waiting.append(event)
        self._came.set()
        while len(self._waiting) >= BATCHES_MAX:
            self._room.clear()
            await self._room.wait()

    async def run(self) -> None:
        """Work for ever."""
        ahead: asyncio.Task[None] | None = None
        while True:
            if not self._waiting and ahead is not None:
                await ahead  # nothing to work on meanwhile: let its errors surface
                ahead = None
            await self._came.wait()
            events = self._take()
            done = self._stage.work(_let_go(events)) if events else None
            epoch = self._epoch
            if ahead is not None:
                await ahead
            ahead = None if done is None else asyncio.create_task(self._finish(events, done, epoch))
            await asyncio.sleep(0)  # let it append before the next round takes the processor

    async def _joins(self, batch: Any) -> bool:
        """Whether the batch begins no later than where its partition's last one ended; else ask for what lies between."""
        self._see_generation()
        if batch.generation_id != self._generation:
            return False  # it is read again by whoever owns it now
        tp, first = batch.tp, batch.value.offsets[0]
        expected = self._next.get(tp)
        if expected is None:
            expected = self._group.committed(tp) or 0
        if first > expected:
            if self._asked.get(tp) == expected:
                return False  # fetched before the log was asked again
            self._asked[tp] = expected
            log.warning("batch does not join on; reading again", partition=str(tp), expected=expected, was=first)
            there = await self._group.read_from(tp, expected)
            if first > there:
                return False
        self._asked.pop(tp, None)
        self._next[tp] = max(batch.offset + 1, expected)
        return True

    def _see_generation(self) -> None:
        generation = self._group.generation()
        if generation != self._generation:  # others may have stored since what we keep was true
            self._generation = generation
            self._next.clear()
            self._asked.clear()
            self._stage.forget()

    def _take(self) -> list[Any]:
        events = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCHES_MAX))]
        if not self._waiting:
            self._came.clear()
        self._room.set()
        self._see_generation()
        return [event for event in events if event.message.generation_id == self._generation]

    async def _finish(self, events: Sequence[Any], done: Done, epoch: int) -> None:
        self._group.check()
        self._append(done.outputs)
        await self._flush()
        self._on_told(done.outputs)
        await self._group.settled()
        # From here to the last state there is no await: what is owned now is stored as owned.
        lost = {event.message.partition for event in events if not self._group.owned(event)}
        if lost:
            self._leave(lost)
        # What was worked on before a partition left leans on what was not stored: it is left, too.
        lost |= {number for number, left in self._left.items() if epoch < left}
        if self._store is not None and self._store_states(self._store, done.states, lost):
            await self._flush()
            self._store.confirmed()
        for event in events:
            if event.message.partition not in lost:
                event.ack()

    def _leave(self, numbers: Iterable[int]) -> None:
        self._epoch += 1
        self._left.update(dict.fromkeys(numbers, self._epoch))
        self._stage.forget(numbers)
        for tp in [tp for tp in self._next if tp.partition in self._left]:
            del self._next[tp]  # should it be ours still, it goes on from what is committed

    def _append(self, outputs: Iterable[Output]) -> None:
        append = self._appender.append
        for topic, key, partition, value in outputs:
            append(topic, value, key=key, partition=partition, headers=SCHEMA_HEADER)

    def _store_states(self, store: Store, states: Mapping[int, Pairs], lost: set[int]) -> bool:
        kept = [(number, pairs) for number, pairs in states.items() if number not in lost]
        for number, pairs in kept:
            store.append(number, pairs)
        return bool(kept)

    async def _flush(self) -> None:
        await asyncio.to_thread(self._appender.flush, FLUSH_TIMEOUT_S)
