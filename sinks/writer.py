"""The loop from the log to the tables. Where it stands is a row in ClickHouse, never the group's offset.

The caller's thread reads the next batch and builds its rows while one other thread delivers the current one; no more is
held than these two. A store that is away is tried for ever while reading pauses; nothing is dropped. The log's own
errors end `run`. What a round must do is decided in `protocol`; here it is only done.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

import numpy as np

from sinks.assignment import PartitionStopped
from sinks.delivery import Assignment, Batch, Delivery, Logger
from sinks.evolution import OUR_SCHEMA, Compatible
from sinks.protocol import State, begin, step
from sinks.rows import CODE, Built
from sinks.steps import Command, Done, Event, Failed, Finished, Load, Sift, Wait
from sinks.tables import TOO_MANY_PARTS, StatementRefused, StoreUnavailable, Tables
from topics import catalog
from topics.errors import Unavailable
from topics.failpoint import Hit, nothing
from topics.log import Log, Reader, Stretch, TopicPartition, joined
from topics.units import NS_PER_S

BATCH_ROWS_MAX = 50_000  # one block of ClickHouse, so that one insert is one part per month
BATCH_BYTES_MAX = 32 * 1024 * 1024  # of values; two batches are in memory, one of them as rows alone
BATCH_WAIT_S = 1.0  # fewer, larger inserts: at 2,000 frames/s half of the records can be queried 1 s after they came
RETRY_FIRST_S = 0.2
RETRY_MAX_S = 5.0
_READ_ROWS_MAX = 5_000  # bounds how far one read overshoots BATCH_BYTES_MAX, and how long the other thread waits
_READ_WAIT_S = 0.05
# A fetch lists a hundred partitions: at 2,000 frames/s one for each arrival took the broker a quarter of its time.
_GATHER_S = 0.25
_STRANGERS_S = 5.0  # between two looks at the topics' ids while nothing comes; what comes is looked at with its batch
_IDLE_S = 0.1  # between two looks at `stop` while nothing comes
_NOTHING = Batch((), Built({}, np.empty(0, np.uint64), {}, {}, {}))  # of one who only finishes what others began

Outcome = Literal["committed", "beaten", "free", "void", "stopped"]


class SinkWriter:
    """Writes `topics` of `log` into `tables`, every record once, whoever else does the same under the same name.

    sink: the name under which positions are kept. owner: a name that no other writer has or had. now_ns: the clock of
    the ledger's rows. code_version: stamped on rows of `dead`. hit: a failpoint. compatible: schema versions it takes.
    refusable: tables of which the store may refuse all rows; without it that is a table which was changed, and the end.
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
        owner: str,
        sink: str = "main",
        hit: Hit = nothing,
        compatible: Compatible = OUR_SCHEMA,
        refusable: Collection[str] = (),
        batch_rows_max: int = BATCH_ROWS_MAX,
        batch_bytes_max: int = BATCH_BYTES_MAX,
        batch_wait_s: float = BATCH_WAIT_S,
    ) -> None:
        self._log = log
        self._topics = tuple(topics)
        self._now_ns = now_ns
        self._logger = logger
        self._owner = owner
        self._sink = sink
        self._batch_rows_max = batch_rows_max
        self._batch_bytes_max = batch_bytes_max
        self._batch_wait_s = batch_wait_s
        self._wait_s = batch_wait_s  # grows while the store has too many parts
        self._down = False
        self._lock = threading.Lock()
        self._committed: dict[TopicPartition, int] = {}
        self._compatible = compatible
        self._refusable = refusable
        self._refusing: tuple[int, Mapping[str, int]] = (0, {})  # what holds for the round of this number, see `begin`
        self._stopped: dict[TopicPartition, PartitionStopped] = {}
        self._known: AbstractSet[TopicPartition] = frozenset()  # to the assignment
        self._grown = False  # there are more of them
        self._ask_at = 0.0  # monotonic seconds
        self._delivery = Delivery(
            log,
            tables,
            sink=sink,
            now_ns=now_ns,
            logger=logger,
            code_version=code_version,
            hit=hit,
            compatible=compatible,
        )

    def positions(self) -> dict[TopicPartition, int]:
        """The next offset of each partition, as committed; empty before the start."""
        with self._lock:
            return dict(self._committed)

    def duplicate_rows(self) -> int:
        """Rows of bronze that were seen to stand more than once, since the start."""
        return self._delivery.duplicate_rows

    def unknown_fields(self) -> int:
        """Records with fields that we do not know, which went to a column `extra`, since the start."""
        return self._delivery.unknown_fields

    def refused_rows(self) -> int:
        """Rows that the store refused for what they hold, which are told in `dead`, since the start."""
        return self._delivery.refused_rows

    def lag(self) -> int:
        """Records that stand on the log and are not committed yet. Raises Unavailable when the log does not answer."""
        positions = self.positions()
        marks = self._log.watermarks(self._topics)
        return sum(max(mark.high - positions.get(partition, mark.low), 0) for partition, mark in marks.items())

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then deliver what was read, unless the store is away.

        Raises PartitionStopped when no partition is left that may go on, Halted, Unavailable when the log fails.
        """
        assignment = self._assigned(stop)
        with ThreadPoolExecutor(1, "sink-deliver") as pool:
            while assignment is not None:
                self._moved(assignment.positions)
                # What another writer, or this one in an earlier life, has begun is finished first.
                outcome = self._delivered(*self._begun(assignment), _NOTHING, stop)
                if outcome == "void":
                    assignment = assignment._replace(number=assignment.number + 1)
                    continue
                if outcome == "free":
                    outcome = self._pump(assignment, pool, stop)
                if outcome == "stopped":
                    return
                before = self._going(assignment)
                if self._grown:
                    assignment = self._assigned_anew(stop)
                else:
                    assignment = self._until_answered(lambda: self._delivery.refreshed(before), stop)  # noqa: B023

    def _assigned(self, stop: threading.Event) -> Assignment | None:
        """The assignment of all partitions that the log has, without those that were stopped; None when `stop` came first."""
        assignment = self._until_answered(lambda: self._delivery.assign(self._topics), stop)
        if assignment is None:
            return None
        self._note_stopped(assignment)
        self._known = assignment.positions.keys() | {error.partition for error in assignment.stopped}
        return self._going(assignment)

    def _assigned_anew(self, stop: threading.Event) -> Assignment | None:
        """The same while the sink lives: a partition that was made a moment ago may not answer yet."""
        while not stop.is_set():
            try:
                assignment = self._assigned(stop)
            except Unavailable as error:
                self._logger.warning("sink_log_down", error=str(error))
                stop.wait(RETRY_FIRST_S)
            else:
                self._grown = False
                return assignment
        return None

    def _begun(self, assignment: Assignment, batch: Batch = _NOTHING) -> tuple[State, Command]:
        number, refusing = self._refusing
        return begin(
            sink=self._sink,
            owner=self._owner,
            code=CODE,
            number=assignment.number,
            positions=assignment.positions,
            proposal=batch.shares,
            tables=tuple(batch.built.tables),
            doubt=any(each.first < assignment.ahead.get((each.topic, each.partition), 0) for each in batch.shares),
            refusing=refusing if number == assignment.number else {},
            refusable=self._refusable,
        )

    def _pump(self, assignment: Assignment, pool: ThreadPoolExecutor, stop: threading.Event) -> Outcome:
        """Read the next batch while the current one is delivered. A batch is never delivered past a failed one."""
        positions = dict(assignment.positions)
        number = assignment.number
        reader = self._log.reader(positions, gather_s=_GATHER_S)
        delivered: Future[Outcome] | None = None
        try:
            while not stop.is_set():
                if delivered is not None and delivered.done() and delivered.result() != "committed":
                    return delivered.result()
                read = self._read_known(reader, positions, stop)
                if read is None:
                    return "beaten" if delivered is None or delivered.result() == "committed" else delivered.result()
                if not (parts := self._taken(read, positions)):
                    continue
                batch = self._delivery.build(parts, positions)
                del read, parts  # who waits for the store holds rows, and not their records as well
                if delivered is not None and (outcome := delivered.result()) != "committed":
                    return outcome
                begun = self._begun(assignment._replace(positions=dict(positions), number=number), batch)
                delivered = pool.submit(self._delivered, *begun, batch, stop)
                positions.update({(each.topic, each.partition): each.next for each in batch.shares})
                number += 1
                del batch, begun
            return "stopped" if delivered is None or delivered.result() == "committed" else delivered.result()
        finally:
            reader.close()

    def _read_known(
        self, reader: Reader, positions: dict[TopicPartition, int], stop: threading.Event
    ) -> list[Stretch] | None:
        """The next records, which are surely of the topics that were assigned; None when one of them was made anew.

        Raises PartitionStopped when no partition is left, Unavailable when the log fails.
        """
        try:
            read = self._read_batch(reader, stop)
        except Unavailable:  # as it does when offsets are not there any more
            if self._strange(positions):
                return None
            raise
        if not read and time.monotonic() < self._ask_at:
            return read
        while not stop.is_set():
            try:
                return None if self._strange(positions) else read
            except Unavailable as error:
                self._logger.warning("sink_log_down", error=str(error))
            if not read:
                return read  # nothing came, so nothing depends on the answer
            stop.wait(RETRY_MAX_S)
        return []

    def _strange(self, positions: dict[TopicPartition, int]) -> bool:
        """Whether the assignment holds no more: a topic is another one, so its partitions are stopped; or has more of them."""
        self._ask_at = time.monotonic() + _STRANGERS_S
        going = {partition: at for partition, at in positions.items() if partition not in self._stopped}
        counts = self._log.partition_counts()
        stopped = self._delivery.strangers(going, counts)
        for error in stopped:
            self._note_partition(error)
        if len(stopped) == len(going) and stopped:
            raise stopped[0]
        there = {(topic, number) for topic in self._topics for number in range(counts.get(topic, 0))}
        if new := sorted(there - self._known):
            self._grown = True
            self._logger.info("sink_partitions_came", partitions=[f"{topic}-{number}" for topic, number in new])
        return bool(stopped or new)

    def _note_partition(self, error: PartitionStopped) -> None:
        self._stopped[error.partition] = error
        self._logger.warning("sink_partition_stopped", reason=error.reason, error=str(error))

    def _going(self, assignment: Assignment) -> Assignment:
        """Without the partitions that were stopped since."""
        positions = {each: at for each, at in assignment.positions.items() if each not in self._stopped}
        return assignment._replace(positions=positions)

    def _taken(self, parts: list[Stretch], positions: dict[TopicPartition, int]) -> list[Stretch]:
        """The records that may be taken; the partition of the first that may not goes no further.

        Raises PartitionStopped when none is left.
        """
        going = [part for part in parts if (part.topic, part.partition) not in self._stopped]
        taken, stopped = self._compatible.checked(going)
        for error in stopped:
            self._note_partition(error)
        if stopped and not taken and not positions.keys() - self._stopped.keys():
            raise stopped[0]
        return taken

    def _read_batch(self, reader: Reader, stop: threading.Event) -> list[Stretch]:
        """Records until the batch is full or its first record has waited long enough; empty when none came."""
        parts: list[Stretch] = []
        count = size_bytes = 0
        deadline = time.monotonic() + _IDLE_S
        while count < self._batch_rows_max and size_bytes < self._batch_bytes_max:
            asked = time.monotonic()
            if asked >= deadline or stop.is_set():
                break
            wait_s = min(_READ_WAIT_S, deadline - asked)
            came = reader.read_stretches(min(_READ_ROWS_MAX, self._batch_rows_max - count), wait_s)
            if came and not parts:
                deadline = asked + self._wait_s
            parts += came
            count += sum(len(part.offsets) for part in came)
            size_bytes += sum(sum(map(len, part.values)) for part in came)
            if not came:
                stop.wait(max(0.0, asked + wait_s - time.monotonic()))  # a reader that does not wait must not spin
        return joined(parts)

    def _delivered(self, state: State, command: Command, batch: Batch, stop: threading.Event) -> Outcome:
        """Do what the protocol says until the round has ended.

        committed: as `batch` says; beaten: otherwise; stopped: `stop` came while the store was away.
        """
        proposal = batch.shares
        while not isinstance(command, Finished):
            if isinstance(command, Wait):
                if stop.wait(max(0.0, (command.until_ns - self._now_ns()) / NS_PER_S)):
                    return "stopped"
                event: Event = Done()
            elif isinstance(command, Load):
                batch = self._delivery.load(command.shares)
                event = self._delivery.loaded(batch)
            else:
                batch, event = self._executed(command, batch)
            state, command = step(state, event, self._now_ns())
        if command.outcome == "committed":
            self._moved({(each.topic, each.partition): each.next for each in command.shares})
            self._refusing = (state.number + 1, state.refusing)
            return "committed" if command.shares == proposal else "beaten"
        return command.outcome

    def _executed(self, command: Command, batch: Batch) -> tuple[Batch, Event]:
        """The event that a command ended with, and the batch, which holds other rows where the store refused some."""
        event: Event
        try:
            if isinstance(command, Sift):
                batch, event = self._delivery.sift(command, batch)
            else:
                event = self._delivery.execute(command, batch)
        except (StoreUnavailable, StatementRefused) as error:
            self._note_down(error)
            return batch, Failed(too_many_parts=error.code == TOO_MANY_PARTS)
        self._note_up()
        return batch, event

    def _until_answered(self, ask: Callable[[], Assignment], stop: threading.Event) -> Assignment | None:
        """Ask until the store answers; None when `stop` came first."""
        delay_s = RETRY_FIRST_S
        while not stop.is_set():
            try:
                answer = ask()
            except (StoreUnavailable, StatementRefused) as error:
                self._note_down(error)
                stop.wait(delay_s)
                delay_s = min(delay_s * 2, RETRY_MAX_S)
            else:
                self._note_up()
                return answer
        return None

    def _moved(self, positions: dict[TopicPartition, int]) -> None:
        with self._lock:
            self._committed.update(positions)

    def _note_stopped(self, assignment: Assignment) -> None:
        """Say which partitions do not go on. Raises the first when none is left."""
        for error in assignment.stopped:
            self._logger.warning("sink_partition_stopped", reason=error.reason, error=str(error))
        if assignment.stopped and not assignment.positions:
            raise assignment.stopped[0]

    def _note_down(self, error: StoreUnavailable | StatementRefused) -> None:
        if not self._down:
            self._logger.warning("sink_store_down", error=str(error))
        self._down = True
        if error.code == TOO_MANY_PARTS:
            self._wait_s = min(self._wait_s * 2, RETRY_MAX_S)  # fewer, larger parts

    def _note_up(self) -> None:
        if self._down:
            self._logger.info("sink_store_up")
        self._down = False
        self._wait_s = max(self._batch_wait_s, self._wait_s * 0.99)
