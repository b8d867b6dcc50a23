"""The record-batch transport: one Faust event per fetched batch of a partition, over Faust's aiokafka driver.

Faust delivers one event per record, which costs it 100 microseconds each; a batch costs the same and carries thousands.
Changelog partitions keep Faust's plain path. What this leans on inside Faust 0.15.3 (pinned exactly), each with a test:
`Consumer._wait_next_records` returns {TopicPartition: [records]}, and sleeps for a second when all are paused;
`_add_gap` and `_new_offset` decide what is committed; `ack` ends in `_acked`; messages carry their `generation_id`;
`perform_seek` runs after recovery and before the first record; streams skip what comes while `app.flow_control` is not
active. And inside aiokafka (pinned as well): its fetcher makes a `PartitionRecords` of each answer, takes what
`_unpack_records` yields, and goes on at `next_fetch_offset`.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver

from stream_processors.names import CHANGELOG_SUFFIX
from stream_processors.stages import Fetched
from topics.catalog import RAW_TOPICS

_PAUSED_POLL_S = 0.005
_CREATE_TIME = 0  # Kafka's number for stamps that the producer gave
FETCH_WAIT_MS = 40
FETCH_BYTES_MIN = 1024 * 1024
SCHEME = "batch"  # broker URLs of this transport: batch://host:port

# Next offset of each source partition as the state says, keyed by Faust's TP; set by the app that owns the table.
Progress = Callable[[Any], int | None]


@dataclass(slots=True)
class RecordBatch:
    """A batch in the clothes of one aiokafka ConsumerRecord: its offset is that of the last record.

    Acking it therefore commits past the whole batch. `value` holds all records.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    value: Fetched
    headers: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = None
    checksum: int | None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def is_current(app: Any, message: Any) -> bool:
    """Whether `message` was fetched in the group generation that holds now."""
    return bool(message.generation_id == app.consumer_generation_id)


class PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's fetched records, which come as columns, one `Fetched` of each batch on the log; those of changelogs as ever.

    Handing a record through generators and dressing it as a ConsumerRecord costs thrice as much as decoding it. Of a
    fact only offset and value are kept: what aiokafka's C code made of it is let go while the cache still has it, and a
    round's memory is half as large.
    """

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Any]:
        if self._tp.topic.endswith(CHANGELOG_SUFFIX):
            yield from super()._unpack_records()
            return
        whole = self._tp.topic in RAW_TOPICS
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            first = self.next_fetch_offset
            self.next_fetch_offset = max(first, batch.next_offset)
            if batch.is_control_batch:
                continue
            offsets, contents = [], []
            for record in batch:
                offsets.append(record.offset)
                contents.append(record if whole else record.value)
            asked = bisect_left(offsets, first)  # a batch comes whole, though a fetch may begin in its middle
            if asked < len(offsets):
                yield Fetched(offsets[asked:], contents[asked:], batch.max_timestamp)


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, whose fetches gather records for 40 ms.

    aiokafka has one fetch under way. What is taken from its hands meanwhile is asked for again only when that returns:
    with Faust's 1.5 s a busy partition waits for the quiet ones. A fetch that returns with the first record costs the
    broker, us and the next stage more than it saves: on two cores at 2,000 frames/s the oldest bars came 1.5 times later.
    """

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001
        consumer._fetch_min_bytes = FETCH_BYTES_MIN  # noqa: SLF001
        return consumer


class Consumer(driver.Consumer):
    """Faust's consumer, with batches for source topics."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def ack(self, message: Any) -> bool:
        """Ack, unless the message is of an earlier generation: after each rebalance we read again from what is committed."""
        if not is_current(self.app, message) and not self._is_changelog_tp(message.tp):
            return False
        return bool(super().ack(message))

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ASYNC109  # faust's signature
        if self.flow_active and not self.app.client_only and not self._get_active_partitions():
            await asyncio.sleep(_PAUSED_POLL_S)  # all are paused while a round is at work; Faust would sleep for 1 s
            return {}, set()
        records, active = await super()._wait_next_records(timeout)
        if records and not self.app.flow_control.is_active():
            records = await self._put_back(records)
        if not records:
            return records, active
        return {tp: self._batched(tp, batch) for tp, batch in records.items()}, active

    async def _seek(self, partition: Any, offset: int) -> None:
        """Seek in the consumer's own thread: Faust's seeks from ours, while that thread reads the same tables."""
        await self.seek_wait({partition: offset})

    async def _put_back(self, records: Mapping[Any, list[Any]]) -> dict[Any, list[Any]]:
        """Seek back to source records that came before the streams listen: they would skip them, acked by nobody.

        Faust seeks, and only then lets its streams listen; what is fetched between the two was lost to it.
        """
        for tp, batch in records.items():
            if batch and not self._is_changelog_tp(tp):
                await self._seek(tp, batch[0].offsets[0])
        return {tp: batch for tp, batch in records.items() if self._is_changelog_tp(tp)}

    def _batched(self, tp: Any, fetched: list[Any]) -> list[Any]:
        if self._is_changelog_tp(tp) or not fetched:
            return fetched
        value = Fetched.joined(fetched)
        return [RecordBatch(tp.topic, tp.partition, value.offsets[-1], value.timestamp_ms, _CREATE_TIME, value)]

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """Do nothing: between the last offsets of two batches nothing is missing, the batch carries it."""

    def _new_offset(self, tp: Any) -> int | None:
        """The offset to commit: past the last acked batch. Batches of a partition are acked in order, one at a time.

        Faust's own looks for consecutive offsets, finds holes as long as a batch, and never commits. It also forgets
        what it returns; we keep it, for the commit may fail, and no later batch may come to make up for it.
        """
        acked = self._acked[tp]
        if not acked:
            return None
        last: int = max(acked)
        acked[:] = [last]
        self._acked_index[tp] = {last}
        return last + 1

    async def _commit_offsets(self, offsets: Any, start_new_transaction: bool = True) -> bool:
        """Commit; what was not committed does not count as committed, so that it is tried again."""
        before = {tp: self._committed_offset[tp] for tp in offsets}
        done = bool(await super()._commit_offsets(offsets, start_new_transaction))
        if not done:
            self._committed_offset.update(before)
        return done

    async def read_from(self, tp: Any, offset: int) -> int:
        """Fetch a source partition again from `offset`, or from the first offset after it that retention has left.

        Returns where that is. What was folded since is folded again, to no effect.
        """
        if tp not in self.assignment():
            return offset
        there = max(offset, (await self.earliest_offsets(tp))[tp])
        self._buffered_partitions.discard(tp)
        self.resume_partitions({tp})
        await self._seek(tp, there)
        return there

    async def perform_seek(self) -> None:
        """Seek to the committed offsets, or further back where the state knows less than was committed.

        That happens when a stale worker wrote to the changelog after its successor: a re-fold mends it.
        """
        await super().perform_seek()
        progress: Progress | None = getattr(self.app, "tapefold_progress", None)
        if progress is None:
            return
        for tp in self.assignment():
            if self._is_changelog_tp(tp):
                continue
            known, committed = progress(tp), self._committed_offset[tp]
            if known is not None and committed is not None and known < committed:
                self.log.warning("state of %r ends at %r, before the committed %r: folding again", tp, known, committed)
                await self.seek(tp, known)


class Transport(driver.Transport):
    """Faust's aiokafka transport with the batch consumer."""

    Consumer = Consumer


def register() -> None:
    """Make `batch://` broker URLs known to Faust, and our form of fetched records to aiokafka."""
    fetcher.PartitionRecords = PartitionRecords
    TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
