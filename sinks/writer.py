"""The loop from the log to the tables. Where it stands is a row in ClickHouse, never the group's offset.

The caller's thread reads the next batch while one other thread delivers the current one; no more is held than these
two. A store that is away is tried for ever while reading pauses; nothing is dropped. The log's own errors end `run`.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from sinks.batch import cut
from sinks.delivery import Delivery, Logger, Unverified
from sinks.tables import TOO_MANY_PARTS, StatementRefused, StoreUnavailable, Tables
from topics import catalog
from topics.log import Log, Reader, Record, TopicPartition

BATCH_ROWS_MAX = 50_000  # one block of ClickHouse, so that one insert is one part per month
BATCH_BYTES_MAX = 64 * 1024 * 1024  # of values; two batches are in memory, beside their rows in Arrow
BATCH_WAIT_S = 0.5  # a record must be readable 1.2 s after it stands on the log
RETRY_FIRST_S = 0.2
RETRY_MAX_S = 5.0
_READ_ROWS_MAX = 10_000  # bounds how far one read can overshoot BATCH_BYTES_MAX
_READ_WAIT_S = 0.05
_IDLE_S = 0.1  # between two looks at `stop` while nothing comes


class SinkWriter:
    """Writes `topics` of `log` into `tables`, every record once. The keyword arguments are those of Delivery.

    batch_rows_max, batch_bytes_max, batch_wait_s: a batch ends at the first of these; the wait counts from its first
    record.
    """

    def __init__(
        self,
        log: Log,
        tables: Tables,
        topics: Sequence[str] = catalog.SINK_TOPICS,
        *,
        now_ns: Callable[[], int],
        logger: Logger,
        code_version: str,
        sink: str = "main",
        cluster: str = "",
        topic_ids: Mapping[str, str] | None = None,
        batch_rows_max: int = BATCH_ROWS_MAX,
        batch_bytes_max: int = BATCH_BYTES_MAX,
        batch_wait_s: float = BATCH_WAIT_S,
    ) -> None:
        self._log = log
        self._topics = tuple(topics)
        self._logger = logger
        self._batch_rows_max = batch_rows_max
        self._batch_bytes_max = batch_bytes_max
        self._batch_wait_s = batch_wait_s
        self._wait_s = batch_wait_s  # grows while the store has too many parts
        self._down = False
        self._delivery = Delivery(
            tables,
            now_ns=now_ns,
            logger=logger,
            code_version=code_version,
            sink=sink,
            cluster=cluster,
            topic_ids=topic_ids,
        )

    def positions(self) -> dict[TopicPartition, int]:
        """The next offset of each partition, as committed; empty before the start."""
        return self._delivery.positions()

    def lag(self) -> int:
        """Records that stand on the log and are not committed yet. Raises Unavailable when the log does not answer."""
        positions = self.positions()
        marks = self._log.watermarks(self._topics)
        return sum(max(mark.high - positions.get(partition, mark.low), 0) for partition, mark in marks.items())

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then deliver what was read, unless the store is away.

        Raises OffsetOutsideLog when a position is not on the log, Unavailable when the log fails.
        """
        if not self._until_done(lambda _: self._delivery.assign(self._log, self._topics), stop):
            return
        positions = self.positions()
        reader = self._log.reader(positions)
        try:
            with ThreadPoolExecutor(1, "sink-deliver") as pool:
                self._pump(reader, positions, pool, stop)
        finally:
            reader.close()

    def _pump(
        self, reader: Reader, positions: dict[TopicPartition, int], pool: ThreadPoolExecutor, stop: threading.Event
    ) -> None:
        """Read the next batch while the current one is delivered. A batch is never delivered past a failed one."""
        delivered: Future[bool] | None = None
        while not stop.is_set():
            if records := self._read_batch(reader, stop):
                batch = cut(records, positions)
                positions.update({(each.topic, each.partition): each.next for each in batch.ranges})
                if delivered is not None and not delivered.result():
                    return
                delivered = pool.submit(self._until_done, partial(self._delivery.deliver, batch), stop)
            elif delivered is not None and delivered.done():
                delivered.result()  # raises what was our own bug
        if delivered is not None:
            delivered.result()

    def _read_batch(self, reader: Reader, stop: threading.Event) -> list[Record]:
        """Records until the batch is full or its first record has waited long enough; empty when none came."""
        records: list[Record] = []
        size_bytes = 0
        deadline = time.monotonic() + _IDLE_S
        while len(records) < self._batch_rows_max and size_bytes < self._batch_bytes_max:
            asked = time.monotonic()
            if asked >= deadline or stop.is_set():
                break
            wait_s = min(_READ_WAIT_S, deadline - asked)
            part = reader.read(min(_READ_ROWS_MAX, self._batch_rows_max - len(records)), wait_s)
            if part and not records:
                deadline = asked + self._wait_s
            records += part
            size_bytes += sum(len(record[6]) for record in part)
            if not part:
                stop.wait(max(0.0, asked + wait_s - time.monotonic()))  # a reader that does not wait must not spin
        return records

    def _until_done(self, act: Callable[[int], object], stop: threading.Event) -> bool:
        """Act until the store takes it; False when `stop` came first. Says once that the store went and came back."""
        attempt = 0
        delay_s = RETRY_FIRST_S
        while True:
            try:
                act(attempt)
            except (StoreUnavailable, StatementRefused, Unverified) as error:
                self._note_down(error)
                if not isinstance(error, Unverified) and error.code == TOO_MANY_PARTS:
                    self._wait_s = min(self._wait_s * 2, RETRY_MAX_S)  # fewer, larger parts
                    delay_s = RETRY_MAX_S
            else:
                self._note_up(attempt)
                return True
            attempt += 1
            if stop.wait(delay_s):
                return False
            delay_s = min(delay_s * 2, RETRY_MAX_S)

    def _note_down(self, error: Exception) -> None:
        if not self._down:
            self._logger.warning("sink_store_down", error=str(error))
        self._down = True

    def _note_up(self, attempts: int) -> None:
        if self._down:
            self._logger.info("sink_store_up", attempts=attempts)
        self._down = False
        self._wait_s = max(self._batch_wait_s, self._wait_s * 0.9)
