"""The processes that fold the tape again, each for fact partitions of its own.

A worker is shown the raw log up to a cut of explicit offsets, beats included, and writes its facts and rows into the
tables of a generation: a database of its own with the same tables.
"""

import multiprocessing
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from msgspec import Struct

from sinks import rows
from sinks.tables import Tables
from stream_processors.replay import Part
from tapefold import wiring
from tapefold.settings import Settings
from topics.catalog import BY_NAME, CODE_VERSION, FACT_BOOK, FACT_POLICY, FOLD_TOPICS, H_RECEIVED_NS, RAW_TOPICS
from topics.errors import Refused, TapefoldError, Unavailable
from topics.kafka import KafkaLog
from topics.log import Log, Record, Stretch, TopicPartition, stretches_of

GENERATION_PREFIX = "tapefold_gen_"
READ_RECORDS_MAX = 20_000
PACED_RECORDS_MAX = 1_000  # at a recorded pace little is due at a time
FLUSH_ROWS_MAX = 50_000  # as the sink: one block of ClickHouse
STILL_S = 60.0  # a partition that brings nothing for so long, before its cut, will not
WORKERS_MAX = 8
_READ_WAIT_S = 0.2

Cut = Mapping[TopicPartition, tuple[int, int]]  # the offsets [first, next) of each partition


class Counts(Struct):
    """Records that were read, and rows that were written."""

    records: int = 0
    rows: int = 0


EVERYTHING: tuple[str, ...] = (*RAW_TOPICS, FACT_POLICY)
"""What the whole tape is made of."""


class Task(Struct, frozen=True):
    """What one worker process is to do. own: its fact partitions. speed: recorded seconds per second, None: as fast as can be."""

    settings: Settings
    state_dir: Path
    own: tuple[int, ...]
    partitions: int
    database: str
    tables: tuple[str, ...]
    speed: float | None


class WorkerFailed(TapefoldError):
    """A worker process of the replay ended before its work was done; its own words stand above."""


def topics_of(text: str | None) -> tuple[str, ...]:
    """The topics that `--topics` names: `raw` (the default), `facts`, or names of one of the two kinds.

    Policies come with raw topics: they are facts that no raw record makes.
    """
    if text in {None, "raw"}:
        return EVERYTHING
    if text == "facts":
        return FOLD_TOPICS
    named = tuple(part.strip() for part in str(text).split(",") if part.strip())
    if not named or not (set(named) <= set(RAW_TOPICS) or set(named) <= set(FOLD_TOPICS)):
        known = ", ".join((*RAW_TOPICS, *FOLD_TOPICS))
        raise Refused(
            f"--topics: expected raw, facts, or names of raw topics or of fact topics ({known}), was {text!r}"
        )
    return named if named[0] in FOLD_TOPICS else (*named, FACT_POLICY)


def database_of(generation: str) -> str:
    """The database of a generation. Raises Refused for a name that is none."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", generation):
        raise Refused(f"--generation: expected letters a-z, digits and _, at most 41, was {generation!r}")
    return GENERATION_PREFIX + generation


def cut_to_end(log: KafkaLog, topics: Sequence[str]) -> dict[TopicPartition, tuple[int, int]]:
    """All that the log holds of the topics at this moment."""
    return {partition: (marks.low, marks.high) for partition, marks in log.watermarks(topics).items()}


class Workers:
    """The processes that fold. Each keeps its states between cuts, so that a later cut continues an earlier one."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit the threads of librdkafka
        self._workers: list[tuple[Any, Connection]] = []
        for task in tasks:
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, task), daemon=True)
            process.start()
            theirs.close()
            self._workers.append((process, ours))

    def fold(self, cut: Cut) -> Counts:
        """Fold these offsets in all workers; returns their counts. Raises WorkerFailed."""
        for _, connection in self._workers:
            connection.send(cut)
        total = Counts()
        try:
            for _, connection in self._workers:
                counts = connection.recv()
                total.rows += counts.rows
                total.records = max(total.records, counts.records)  # each is shown all of them
        except EOFError as error:
            raise WorkerFailed("a worker of the replay ended early; its words stand above") from error
        return total

    def close(self) -> None:
        """Let the processes end."""
        for process, connection in self._workers:
            connection.close()
            process.join(10)
            if process.is_alive():
                process.terminate()


def tasks(
    settings: Settings,
    state_dir: Path,
    partitions: int,
    *,
    database: str,
    tables: Sequence[str],
    speed: float | None,
) -> list[Task]:
    """One task per processor, at most one per partition."""
    count = min(partitions, WORKERS_MAX, os.cpu_count() or 1)
    return [
        Task(settings, state_dir, tuple(range(number, partitions, count)), partitions, database, tuple(tables), speed)
        for number in range(count)
    ]


def _work(connection: Connection, task: Task) -> None:
    log = wiring.open_log(task.settings, task.state_dir)
    tables = wiring.open_tables(task.settings, task.state_dir)
    part = Part(task.own, task.partitions)
    writer = _Writer(tables, task)
    while True:
        try:
            cut: Cut = connection.recv()
        except EOFError:
            return
        counts = Counts()
        for stretch in batches(log, _mine(cut, task.own), task.speed):
            counts.records += len(stretch.offsets)
            writer.add(fold(part, stretch))
        writer.flush()
        counts.rows = writer.rows
        connection.send(counts)


def fold(part: Part, stretch: Stretch) -> Iterator[Record]:
    """Let a part take records of the log, raw ones or facts; yields what comes of them."""
    if BY_NAME[stretch.topic].group == "raw":
        return part.raw(stretch.topic, stretch.partition, list(stretch.records()))
    if stretch.topic == FACT_POLICY:
        return chain(stretch.records(), _facts(part, stretch))
    return _facts(part, stretch)


def _facts(part: Part, stretch: Stretch) -> Iterator[Record]:
    return part.facts(stretch.topic, stretch.partition, zip(stretch.offsets, stretch.values, strict=True))


def _mine(cut: Cut, own: Collection[int]) -> Cut:
    """Of raw topics all partitions, for each may hold our domains; of fact topics those that are ours."""
    return {
        (topic, number): offsets
        for (topic, number), offsets in cut.items()
        if BY_NAME[topic].group == "raw" or number in own
    }


class _Writer:
    """Writes records of facts and rows into the generation's tables."""

    def __init__(self, tables: Tables, task: Task) -> None:
        self.rows = 0
        self._tables = tables
        self._task = task
        self._waiting: list[Record] = []
        self._inserts = 0

    def add(self, records: Iterator[Record]) -> None:
        """Take the outputs of a batch."""
        self._waiting.extend(record for record in records if record.topic != FACT_BOOK)
        if len(self._waiting) >= FLUSH_ROWS_MAX:
            self.flush()

    def flush(self) -> None:
        """Insert what waits."""
        built = rows.build(self._waiting, topic_ids={}, code_version=CODE_VERSION)
        self._waiting = []
        for table, arrow in built.items():
            if table in self._task.tables:
                self._inserts += 1
                token = f"{table}:{self._task.own[0]}:{self._inserts}"
                self._tables.insert_arrow(table, arrow, token, database=self._task.database)
                self.rows += len(arrow)


def batches(log: Log, cut: Cut, speed: float | None) -> Iterator[Stretch]:
    """Batches of one partition each, up to the cut, in the order of each partition."""
    wanted = {partition: offsets for partition, offsets in cut.items() if offsets[0] < offsets[1]}
    if speed is not None:
        yield from _paced(log, wanted, speed)
        return
    left = {partition: offsets[1] for partition, offsets in wanted.items()}
    reader = log.reader({partition: offsets[0] for partition, offsets in wanted.items()})
    still_s = time.monotonic()
    while left:
        read = reader.read_stretches(READ_RECORDS_MAX, _READ_WAIT_S)
        if read:
            still_s = time.monotonic()
        elif time.monotonic() - still_s > STILL_S:
            raise Unavailable("the log", f"no record for {STILL_S:.0f} s before the cut of {sorted(left)}")
        for stretch in read:
            end = left.get((stretch.topic, stretch.partition), 0)
            within = stretch.upto(end)
            if stretch.next_offset >= end:
                left.pop((stretch.topic, stretch.partition), None)
            if within.offsets:
                yield within
    reader.close()


def _paced(log: Log, wanted: Cut, speed: float) -> Iterator[Stretch]:
    """The same at a recorded pace: a record comes when the tape has reached its stamp."""
    readers = {partition: log.reader({partition: offsets[0]}) for partition, offsets in wanted.items()}
    heads: dict[TopicPartition, list[Record]] = {partition: [] for partition in wanted}
    begun_s, begun_ns = time.monotonic(), None
    while readers:
        for partition, reader in readers.items():
            if not heads[partition]:
                read = reader.read(PACED_RECORDS_MAX, _READ_WAIT_S)
                heads[partition] = [record for record in read if record.offset < wanted[partition][1]]
        stamps = [stamp for head in heads.values() if head and (stamp := _stamp_ns(head[0])) is not None]
        if begun_ns is None:
            begun_s, begun_ns = time.monotonic(), min(stamps, default=None)
            if begun_ns is None:
                continue
        due_ns = begun_ns + int((time.monotonic() - begun_s) * speed * 1e9)
        came = False
        for partition in list(readers):
            head = heads[partition]
            count = next((n for n, record in enumerate(head) if (_stamp_ns(record) or 0) > due_ns), len(head))
            if count:
                came = True
                yield from stretches_of(head[:count])
                heads[partition] = head[count:]
                if head[count - 1].next_offset >= wanted[partition][1]:
                    readers.pop(partition).close()
        if not came and stamps:
            time.sleep(min(max((min(stamps) - due_ns) / 1e9 / speed, 0.001), 0.2))


def _stamp_ns(record: Record) -> int | None:
    """The receive stamp of a raw record; of a fact, which has no such header, the log's own."""
    for name, value in record.headers:
        if name == H_RECEIVED_NS and value.isdigit():
            return int(value)
    return record.timestamp_ms * 1_000_000 if record.timestamp_ms > 0 else None
