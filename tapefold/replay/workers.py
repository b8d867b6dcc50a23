"""The processes that fold the tape again, each for fact partitions of its own.

A worker is shown the raw log up to a cut of explicit offsets, beats included, and writes its facts and rows into the
tables of a generation: a database of its own with the same tables.
"""

import gc
import multiprocessing
import os
import time
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from stream_processors.replay import Part
from stream_processors.stages import GC_THRESHOLDS
from tapefold import stores, wiring
from tapefold.replay.pace import Leg, stretches
from tapefold.replay.writer import Writer
from tapefold.settings import Settings
from topics import domains, stations
from topics.catalog import BY_NAME, FACT_POLICY, FOLD_TOPICS, RAW_TOPICS
from topics.errors import Refused, TapefoldError
from topics.log import Record, Stretch

FLUSH_PACED_S = 1.0  # at a recorded pace rows can be queried so long after they were made
WORKERS_MAX = 8
BATCH_RECORDS = 20_000  # facts of a partition, after which the rows that they change are told
AHEAD_KBYTES = 16_384  # what is folded next is still in the processor's cache, and less memory is touched for it


class Counts(Struct):
    """Records that were read, rows that were made of them, and rows that the store refused, which `dead` tells."""

    records: int = 0
    rows: int = 0
    refused: int = 0


EVERYTHING: tuple[str, ...] = (*RAW_TOPICS, FACT_POLICY)
"""What the whole tape is made of."""


class Task(Struct, frozen=True):
    """What one worker process is to do. own: its fact partitions."""

    settings: Settings
    state_dir: Path
    own: tuple[int, ...]
    partitions: int
    database: str
    tables: tuple[str, ...]


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


class Workers:
    """The processes that fold. Each keeps its states between legs, so that a later one continues an earlier one."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit the threads of librdkafka
        self._workers: list[tuple[Any, Connection]] = []
        for task in tasks:
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, task), daemon=True)
            process.start()
            theirs.close()
            self._workers.append((process, ours))

    def fold(self, leg: Leg) -> Counts:
        """Fold a leg of the tape in all workers; returns their counts. Raises WorkerFailed."""
        for _, connection in self._workers:
            connection.send(leg)
        total = Counts()
        try:
            for _, connection in self._workers:
                counts = connection.recv()
                total.rows += counts.rows
                total.refused += counts.refused
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
) -> list[Task]:
    """One task per processor, at most one per partition."""
    count = min(partitions, WORKERS_MAX, os.cpu_count() or 1)
    return [
        Task(settings, state_dir, tuple(range(number, partitions, count)), partitions, database, tuple(tables))
        for number in range(count)
    ]


def prefer_folding() -> None:
    """For a process that folds and does nothing else."""
    wiring.prefer_throughput()
    gc.set_threshold(*GC_THRESHOLDS)


def _work(connection: Connection, task: Task) -> None:
    prefer_folding()
    domains.override(stations.overrides(task.settings.station_overrides))  # as in every process of the live stack
    log = wiring.open_log(task.settings, task.state_dir, ahead_kbytes=AHEAD_KBYTES)
    tables = stores.open_tables(task.settings, task.state_dir)
    part = Part(task.own, task.partitions, batch_records=BATCH_RECORDS)
    writer = Writer(tables, task.database, task.tables, name=str(task.own[0]))
    while True:
        try:
            leg: Leg = connection.recv()
        except EOFError:
            return
        counts = Counts(rows=-writer.rows, refused=-writer.refused)
        flushed_s = time.monotonic()
        for stretch in stretches(log, _mine(leg, task.own)):
            counts.records += len(stretch.offsets)
            writer.add(fold(part, stretch))
            if leg.speed is not None and time.monotonic() - flushed_s > FLUSH_PACED_S:
                writer.add(part.rest())
                writer.flush()
                flushed_s = time.monotonic()
        writer.add(part.rest())
        writer.flush()
        counts.rows += writer.rows
        counts.refused += writer.refused
        connection.send(counts)


def fold(part: Part, stretch: Stretch) -> Iterator[Record]:
    """Let a part take records of the log, raw ones or facts; yields what comes of them."""
    if BY_NAME[stretch.topic].group == "raw":
        return part.raw(stretch.topic, stretch.partition, list(stretch.records()))
    if stretch.topic == FACT_POLICY:
        return chain(stretch.records(), _facts(part, stretch))
    return _facts(part, stretch)


def _facts(part: Part, stretch: Stretch) -> Iterator[Record]:
    return part.facts(stretch.topic, stretch.partition, stretch.offsets, stretch.values)


def _mine(leg: Leg, own: Collection[int]) -> Leg:
    """Of raw topics all partitions, for each may hold our domains; of fact topics those that are ours."""
    cut = {
        (topic, number): offsets
        for (topic, number), offsets in leg.cut.items()
        if BY_NAME[topic].group == "raw" or number in own
    }
    return structs.replace(leg, cut=cut)
