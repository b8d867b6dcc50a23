"""What a batch is: ranges of offsets, the tokens made of them, the commit rows, and what is still missing. Pure."""

import hashlib
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import pyarrow as pa

from sinks import columns
from topics.errors import Refused
from topics.log import Record, TopicPartition, Watermarks

COMMITS = "sink_commits"

OutsideReason = Literal[
    "offset_below_low_watermark",  # the log no longer holds what comes next: retention was faster than the sink
    "offset_above_high_watermark",  # the log ends before the position: truncated, recreated, or another cluster
]
_REMEDY: dict[OutsideReason, str] = {
    "offset_below_low_watermark": "records between them are lost to the sink; restore them or accept the hole by hand",
    "offset_above_high_watermark": "the topic was truncated or recreated; check the cluster before anything is written",
}


class Range(NamedTuple):
    """The offsets [first, next) of one partition."""

    topic: str
    partition: int
    first: int
    next: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-[{self.first},{self.next})"


class Batch(NamedTuple):
    """Records in the order of the log per partition, and the ranges they fill, sorted."""

    records: list[Record]
    ranges: tuple[Range, ...]


class OffsetOutsideLog(Refused):
    """The committed position of a partition is not on the log. Nothing is written and no offset is reset."""

    def __init__(self, reason: OutsideReason, partition: TopicPartition, position: int, marks: Watermarks) -> None:
        super().__init__(reason, partition, position, marks)
        self.reason: OutsideReason = reason
        self.partition = partition
        self.position = position
        self.marks = marks

    def __str__(self) -> str:
        topic, number = self.partition
        return (
            f"{self.reason}: {topic}-{number}: expected a position within [{self.marks.low}, {self.marks.high}], "
            f"was {self.position}; {_REMEDY[self.reason]}"
        )


def start(
    committed: Mapping[TopicPartition, int], marks: Mapping[TopicPartition, Watermarks]
) -> dict[TopicPartition, int]:
    """Where to read each partition of `marks` from: the committed position, without one the low watermark.

    Raises OffsetOutsideLog when a committed position is not on the log.
    """
    positions: dict[TopicPartition, int] = {}
    for partition, mark in marks.items():
        position = committed.get(partition, mark.low)
        if position < mark.low:
            raise OffsetOutsideLog("offset_below_low_watermark", partition, position, mark)
        if position > mark.high:
            raise OffsetOutsideLog("offset_above_high_watermark", partition, position, mark)
        positions[partition] = position
    return positions


def cut(records: list[Record], positions: Mapping[TopicPartition, int]) -> Batch:
    """The batch of `records`; each range begins at the partition's position, so that the commits make a chain.

    Offsets that the log does not have (compaction, transaction markers) lie within a range without a record.
    """
    nexts: dict[TopicPartition, int] = {}
    for record in records:
        partition = (record[0], record[1])
        assert record[2] >= nexts.get(partition, positions[partition]), f"{partition}: {record[2]} was read again"
        nexts[partition] = record.next_offset
    ranges = sorted(Range(topic, number, positions[topic, number], end) for (topic, number), end in nexts.items())
    return Batch(records, tuple(ranges))


def ranges_of(records: Iterable[Record]) -> list[Range]:
    """The unbroken runs of offsets among `records`, sorted: what a repair names in its token."""
    runs: dict[TopicPartition, list[Range]] = {}
    for record in sorted(records, key=lambda record: record[:3]):
        part = runs.setdefault((record[0], record[1]), [])
        if part and part[-1].next == record.offset:
            part[-1] = part[-1]._replace(next=record.next_offset)
        else:
            part.append(Range(record.topic, record.partition, record.offset, record.next_offset))
    return sorted(run for part in runs.values() for run in part)


def token(table: str, ranges: Iterable[Range], repeat: str = "") -> str:
    """The insert token: equal for equal ranges of equal tables. `repeat` tells a repair from the insert it repairs."""
    digest = hashlib.sha1("\n".join(map(str, sorted(ranges))).encode(), usedforsecurity=False).hexdigest()
    return f"{table}:{digest}{':' if repeat else ''}{repeat}"


def missing(records: Iterable[Record], present: Mapping[TopicPartition, Collection[int]]) -> list[Record]:
    """The records whose offsets are not among `present`."""
    nothing: Collection[int] = frozenset()
    return [record for record in records if record[2] not in present.get((record[0], record[1]), nothing)]


def commit_rows(batch: Batch, *, sink: str, cluster: str, topic_ids: Mapping[str, str], at_ns: int) -> pa.Table:
    """One row of `sink_commits` per range of the batch."""
    tails: dict[TopicPartition, Record] = {}
    counts: dict[TopicPartition, int] = {}
    for record in batch.records:
        partition = (record[0], record[1])
        tails[partition] = record
        counts[partition] = counts.get(partition, 0) + 1
    ranges = batch.ranges
    last = [tails[each.topic, each.partition] for each in ranges]
    return pa.table(
        {
            "sink": columns.labels([sink] * len(ranges)),
            "cluster": columns.labels([cluster] * len(ranges)),
            "topic": columns.labels([each.topic for each in ranges]),
            "topic_id": columns.labels([topic_ids.get(each.topic, "") for each in ranges]),
            "partition": columns.uint32([each.partition for each in ranges]),
            "first": columns.uint64([each.first for each in ranges]),
            "next": columns.uint64([each.next for each in ranges]),
            "rows": columns.uint64([counts[each.topic, each.partition] for each in ranges]),
            "tail_at": columns.time_ms_clipped([record.timestamp_ms for record in last]),
            "tail_crc32": columns.uint32([crc32(record) for record in last]),
            "at": columns.time_ns([at_ns] * len(ranges)),
        }
    )


def crc32(record: Record) -> int:
    """CRC-32 of key and value: with the timestamp, the fingerprint by which a later start knows the log again."""
    return zlib.crc32(record.value, zlib.crc32(record.key or b""))


def where(ranges: Sequence[Range], topic: str, partition: str, offset: str) -> str:
    """A condition on these columns that holds within the ranges, in the form that the primary key can use."""
    return " OR ".join(
        f"({topic} = {_quoted(each.topic)} AND {partition} = {each.partition}"
        f" AND {offset} >= {each.first} AND {offset} < {each.next})"
        for each in ranges
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
