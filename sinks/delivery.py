"""The steps that bring one batch into the tables: insert, read back, commit, read back. They never retry by themselves.

Any step may be cut off and taken again, by this process (`attempt` counts) or by the next one: bronze is then asked
what it has and gets only what it lacks, the other tables collapse repeats by identity.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from sinks import rows
from sinks.batch import COMMITS, Batch, Range, commit_rows, missing, ranges_of, start, token, where
from sinks.tables import Tables
from topics import catalog
from topics.errors import Unavailable
from topics.log import Log, TopicPartition
from topics.units import NS_PER_S

# `where(...)` of whole numbers and quoted topic names stands for RANGES.
FOLLOWER_NS = 60 * NS_PER_S  # how long after its start a sink looks before it inserts: a predecessor's insert may land
_POSITIONS = (
    "SELECT topic, partition, max(next) FROM tapefold.sink_commits WHERE sink = {sink:String} GROUP BY topic, partition"
)
_COMMITTED = "SELECT topic, partition, first, next FROM tapefold.sink_commits WHERE sink = {sink:String} AND (RANGES)"
_AHEAD = (
    "SELECT _topic, _partition, max(_offset) + 1 FROM tapefold.raw_records WHERE RANGES GROUP BY _topic, _partition"
)
_PRESENT = (
    "SELECT _topic, _partition, groupUniqArray(_offset) FROM tapefold.raw_records"
    " WHERE RANGES GROUP BY _topic, _partition"
)
_COUNTED = "SELECT uniqExact(_topic, _partition, _offset), count() FROM tapefold.raw_records WHERE RANGES"


class Logger(Protocol):
    """What the sink needs of a structlog logger."""

    def info(self, event: str, **fields: object) -> object:
        """Say that something is as it should be."""

    def warning(self, event: str, **fields: object) -> object:
        """Say that something is not, and that we go on."""


class Unverified(Unavailable):
    """The read-back of a table did not show what was inserted; the batch is not committed and goes again."""

    def __init__(self, table: str, expected: int, was: int) -> None:
        super().__init__("the store", f"{table}: expected {expected} rows to be readable after the insert, were {was}")
        self.table = table
        self.expected = expected
        self.was = was


class Delivery:
    """Brings batches of `topics` into `tables`; used by one thread at a time, `positions` by any.

    sink: the name under which positions are kept. cluster, topic_ids: the log's own ids, empty where not known.
    now_ns: the clock of the commit rows. code_version: stamped on rows of `dead`.
    """

    def __init__(
        self,
        tables: Tables,
        *,
        now_ns: Callable[[], int],
        logger: Logger,
        code_version: str,
        sink: str = "main",
        cluster: str = "",
        topic_ids: Mapping[str, str] | None = None,
    ) -> None:
        self._tables = tables
        self._now_ns = now_ns
        self._logger = logger
        self._code_version = code_version
        self._sink = sink
        self._cluster = cluster
        self._topic_ids = dict(topic_ids or {})
        self._lock = threading.Lock()
        self._committed: dict[TopicPartition, int] = {}
        self._started: dict[TopicPartition, int] = {}  # where this process began: an earlier one may have been cut off
        self._ahead: dict[TopicPartition, int] = {}  # bronze held rows below these offsets at the start
        self._began_ns = 0
        self._incarnation = ""
        self._repairs = 0  # inserts of the current batch that the store took and the read-back did not find

    def positions(self) -> dict[TopicPartition, int]:
        """The next offset of each partition, as committed; empty before `assign`."""
        with self._lock:
            return dict(self._committed)

    def assign(self, log: Log, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """Read the positions from the commit rows, check them against the log, and look for bronze beyond them.

        Raises OffsetOutsideLog, StoreUnavailable, StatementRefused, and what the log raises.
        """
        answer = self._tables.query_rows(_POSITIONS, {"sink": self._sink})
        committed = {(topic, number): position for topic, number, position in answer.rows}
        positions = start(committed, log.watermarks(topics))
        beyond = _raw([Range(topic, number, at, 2**64 - 1) for (topic, number), at in positions.items()])
        self._ahead = {}
        if beyond:
            found = self._tables.query_rows(_AHEAD.replace("RANGES", _bronze_where(beyond)))
            self._ahead = {(topic, number): offset for topic, number, offset in found.rows}
        self._started = dict(positions)
        self._began_ns = self._now_ns()
        self._incarnation = f"{self._began_ns:x}"
        with self._lock:
            self._committed = dict(positions)
        return positions

    def deliver(self, batch: Batch, attempt: int = 0) -> None:
        """Insert, read back and commit one batch. Raises StoreUnavailable, StatementRefused, Unverified."""
        if not attempt:
            self._repairs = 0
        self.insert(batch, attempt)
        self.commit(batch, attempt)

    def insert(self, batch: Batch, attempt: int = 0) -> None:
        """Insert the rows of `batch` into every table and read back what can be told by offset.

        Where an earlier insert may have been cut off, the tables beside bronze get a token of this try's own: the
        store may remember the old one for rows that a crash took. Repeated rows collapse there.
        """
        built = rows.build(batch.records, topic_ids=self._topic_ids, code_version=self._code_version)
        repeat = f"{self._incarnation}.{attempt}" if attempt or self._in_doubt(batch.ranges) else ""
        for table, arrow in built.items():
            if table == rows.RAW_RECORDS:
                self._insert_bronze(batch, arrow, attempt)
                continue
            written = self._tables.insert_arrow(table, arrow, token(table, batch.ranges, repeat))
            if written is not None and written < len(arrow):
                raise Unverified(table, len(arrow), written)

    def commit(self, batch: Batch, attempt: int = 0) -> None:
        """Write the commit rows of `batch`, read them back, and only then move the positions."""
        absent = self._uncommitted(batch.ranges) if attempt else list(batch.ranges)
        if absent:
            commits = commit_rows(
                batch, sink=self._sink, cluster=self._cluster, topic_ids=self._topic_ids, at_ns=self._now_ns()
            )
            arrow = commits.take([batch.ranges.index(each) for each in absent])
            repeat = f"{self._sink}.r{self._repairs}" if self._repairs else self._sink
            self._tables.insert_arrow(COMMITS, arrow, token(COMMITS, absent, repeat))
            if left := self._uncommitted(batch.ranges):
                self._repairs += 1
                raise Unverified(COMMITS, len(batch.ranges), len(batch.ranges) - len(left))
        with self._lock:
            self._committed.update({(each.topic, each.partition): each.next for each in batch.ranges})

    def _insert_bronze(self, batch: Batch, whole: pa.Table, attempt: int) -> None:
        records = [record for record in batch.records if _is_raw(record[0])]
        ranges = _raw(batch.ranges)
        # The store may still finish an insert of the process that we follow, after we looked for its rows.
        young = self._now_ns() - self._began_ns < FOLLOWER_NS
        doubtful = attempt or young or self._in_doubt(ranges)
        lacking = missing(records, self._present(ranges)) if doubtful else records
        if lacking:
            # The token names what is inserted. While the same rows are missing it stays the same, so that a late
            # landing of an insert that we gave up and this one cannot both stand; only when the store took an insert
            # and the rows are not there does its token mean nothing, and a repair gets another.
            repeat = f"r{self._repairs}" if self._repairs else ""
            complete = len(lacking) == len(records)
            named = ranges if complete else ranges_of(lacking)
            arrow = whole if complete else rows.bronze_table(lacking, self._topic_ids)
            self._tables.insert_arrow(rows.RAW_RECORDS, arrow, token(rows.RAW_RECORDS, named, repeat))
        counted = self._tables.query_rows(_COUNTED.replace("RANGES", _bronze_where(ranges)))
        distinct, physical = counted.rows[0]
        if distinct != len(records):
            self._repairs += 1
            raise Unverified(rows.RAW_RECORDS, len(records), distinct)
        if physical != distinct:
            self._logger.warning("sink_duplicate_rows", table=rows.RAW_RECORDS, rows=physical - distinct)

    def _in_doubt(self, ranges: Iterable[Range]) -> bool:
        """Whether an earlier process may have inserted some of these ranges without committing them."""
        keyed = [((each.topic, each.partition), each.first) for each in ranges]
        return any(first == self._started.get(key) or first < self._ahead.get(key, 0) for key, first in keyed)

    def _present(self, ranges: Sequence[Range]) -> dict[TopicPartition, set[int]]:
        answer = self._tables.query_rows(_PRESENT.replace("RANGES", _bronze_where(ranges)))
        return {(topic, number): set(offsets) for topic, number, offsets in answer.rows}

    def _uncommitted(self, ranges: Sequence[Range]) -> list[Range]:
        condition = where(ranges, "topic", "partition", "first")
        answer = self._tables.query_rows(_COMMITTED.replace("RANGES", condition), {"sink": self._sink})
        found = {Range(*row) for row in answer.rows}
        return [each for each in ranges if each not in found]


def _is_raw(topic: str) -> bool:
    return catalog.BY_NAME[topic].group == "raw"


def _raw(ranges: Iterable[Range]) -> list[Range]:
    return [each for each in ranges if _is_raw(each.topic)]


def _bronze_where(ranges: Sequence[Range]) -> str:
    return where(ranges, "_topic", "_partition", "_offset")
