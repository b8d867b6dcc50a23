"""Replay = live: fold the tape up to explicit offsets, and compare the final rows with the live ones by hash.

Live rows may know more than the cut when the stack runs. So rows that differ are folded on, up to a later cut: what
stands still on the live side and is still not what the replay says, with all that live knew in it, differs.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from sinks import generations
from sinks.generation import LIVE, database_of
from sinks.rows import FOLDED_TABLES
from sinks.tables import Tables
from tapefold import progress, wiring
from tapefold.local import kafka as local_kafka
from tapefold.replay import compare, pace, workers
from tapefold.replay.compare import Difference, Key
from tapefold.replay.pace import Cut, Leg, Window
from tapefold.replay.workers import Counts, Workers
from tapefold.settings import Settings
from topics.catalog import FOLD_TOPICS, RAW_TOPICS, SINK_TOPICS
from topics.errors import Refused
from topics.kafka import KafkaLog
from topics.log import TopicPartition

ROUNDS_MAX = 6
ROUND_PAUSE_S = 2.0
STILL_S = 120.0
_POLL_S = 0.25
_DEFAULT_GENERATION = "replay"

Say = Callable[[str], None]
_Found = dict[tuple[str, Key], tuple[int, int]]  # (table, key) -> hash of the live row and of the replayed one


class Request(Struct, frozen=True):
    """What to replay. topics: see `workers.topics_of`. generation: None drops the tables at the end.

    window: what of the tape is played at `speed`, and rows of which event times are compared. All before it is folded
    too, since rows depend on it; the tape ends with it, unless rows are compared with live ones, which know all of it.
    """

    topics: tuple[str, ...] = workers.EVERYTHING
    speed: float | None = None
    window: Window = compare.EVERYTHING
    generation: str | None = None
    check: bool = False


class Report(Struct, frozen=True):
    """What came of it. tables: name -> rows and a hash of their content. moving: rows that live still changes."""

    cut: dict[TopicPartition, tuple[int, int]]
    counts: Counts
    tables: dict[str, tuple[int, str]]
    differences: list[Difference]
    differing: int
    moving: int
    seconds: float


@contextlib.contextmanager
def opened_log(settings: Settings, state_dir: Path) -> Iterator[KafkaLog]:
    """The running log, or the embedded broker, started for this question alone."""
    if settings.kafka_bootstrap or local_kafka.running(state_dir) is not None:
        yield wiring.open_log(settings, state_dir)
        return
    if not (state_dir / "kafka").is_dir():
        raise Refused(f"no log is in {state_dir}; run `tapefold demo` or `tapefold up` first")
    with local_kafka.LocalKafka(state_dir):
        yield wiring.open_log(settings, state_dir)


class Replay:
    """One replay of a log beside the live tables of a store."""

    def __init__(self, parts: tuple[Settings, Path, KafkaLog, Tables], request: Request, say: Say) -> None:
        self._settings, self._state_dir, self._log, self._store = parts
        if request.check and set(request.topics) not in (set(workers.EVERYTHING), set(FOLD_TOPICS)):
            raise Refused("--check: expected all raw topics or all fact topics, for rows depend on every one of them")
        if request.generation == LIVE:
            raise Refused(f"--generation: expected another than {LIVE}, which the agents fold")
        self._request = request
        self._say = say
        self._generation = request.generation or _DEFAULT_GENERATION
        self._database = database_of(self._generation)
        tables = compare.tables_of(self._store)
        of_facts = request.topics[0] in FOLD_TOPICS
        self._filled = [name for name in generations.tables_of(self._store) if not of_facts or name in FOLDED_TABLES]
        self._tables = [table for table in tables if table.name in self._filled]

    def run(self) -> Report:
        """Replay into a generation, and compare it with the live tables if asked. Raises Refused, Unavailable."""
        store, request = self._store, self._request
        generations.drop(store, self._generation)
        generations.create(store, self._generation)
        begun_s = time.monotonic()
        cut = pace.cut_to_end(self._log, request.topics)
        if request.check:
            settle(self._log, store, cut)
        fold = Workers(self._tasks())
        try:
            counts = self._folded(fold, cut)
            seconds = time.monotonic() - begun_s
            found, moving = self._checked(fold, cut) if request.check else ({}, 0)
            by_name = {table.name: table for table in self._tables}
            return Report(
                cut,
                counts,
                {name: compare.count(store, self._database, table, request.window) for name, table in by_name.items()},
                [
                    compare.difference(store, self._database, self._tables, by_name[name], key)
                    for name, key in sorted(found)[: compare.SHOWN_MAX]
                ],
                len(found),
                moving,
                seconds,
            )
        finally:
            fold.close()
            if request.generation is None:
                generations.drop(store, self._generation)

    def _folded(self, fold: Workers, cut: Cut) -> Counts:
        """Fold the tape leg by leg, and say which offsets come at which pace."""
        request, total = self._request, Counts()
        for leg in pace.legs_of(self._log, cut, request.window, request.speed, to_end=request.check):
            at = "as fast as can be" if leg.speed is None else f"at {leg.speed:g}x"
            for (topic, number), (first, end) in sorted(leg.cut.items()):
                self._say(f"cut: {topic}-{number} [{first}, {end}) {at}")
            counts = fold.fold(leg)
            total.records += counts.records
            total.rows += counts.rows
            total.refused += counts.refused
        return total

    def _tasks(self) -> list[workers.Task]:
        return workers.tasks(
            self._settings,
            self._state_dir,
            wiring.partitions_of(self._log),
            database=self._database,
            tables=self._filled,
        )

    def _checked(self, fold: Workers, cut: Cut) -> tuple[_Found, int]:
        """Rows that differ for sure, and how many live was still changing when we gave up."""
        found = self._differing()
        sure: _Found = {}
        for _ in range(ROUNDS_MAX):
            later = pace.cut_to_end(self._log, self._request.topics)
            more = {partition: (cut[partition][1], end) for partition, (_, end) in later.items()}
            if not found or not any(first < end for first, end in more.values()):
                return found, 0
            time.sleep(ROUND_PAUSE_S)
            settle(self._log, self._store, later)
            fold.fold(Leg(more))
            cut, before, found = later, found, self._differing()
            sure = {row: hashes for row, hashes in found.items() if row in before and before[row][0] == hashes[0]}
            if len(sure) == len(found):
                return found, 0
        return sure, len(found) - len(sure)

    def _differing(self) -> _Found:
        return {
            (table.name, key): hashes
            for table in self._tables
            for key, hashes in compare.differing(self._store, self._database, table, self._request.window).items()
        }


def settle(log: KafkaLog, store: Tables, cut: Cut) -> None:
    """Wait until the agents and the sink have taken all before the cut, stage after stage. Raises Refused."""
    ends = {partition: end for partition, (_, end) in cut.items()}
    stages: list[tuple[str, Callable[[], int]]] = []
    raw = {partition: end for partition, end in ends.items() if partition[0] in RAW_TOPICS}
    if raw:
        stages.append(("ingest", lambda: progress.group_behind(log, "ingest", raw)))
    facts: dict[TopicPartition, int] = {}
    rows: dict[TopicPartition, int] = {}
    stages += [
        ("fold", lambda: progress.group_behind(log, "fold", _once(facts, log, FOLD_TOPICS))),
        ("sink", lambda: progress.sink_behind(store, _once(rows, log, SINK_TOPICS))),
    ]
    for stage, behind in stages:
        least, moved_s = -1, time.monotonic()
        while left := behind():
            if least < 0 or left < least:
                least, moved_s = left, time.monotonic()
            elif time.monotonic() - moved_s > STILL_S:
                raise Refused(f"{stage}: {left} records before the cut wait and nothing moves; run `tapefold up`")
            time.sleep(_POLL_S)


def _once(ends: dict[TopicPartition, int], log: KafkaLog, topics: Sequence[str]) -> dict[TopicPartition, int]:
    """End offsets, read when a stage is first asked for: the stage before it is done by then."""
    if not ends:
        ends.update(progress.high(log, topics))
    return ends
