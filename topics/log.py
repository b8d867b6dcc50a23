"""The log as a few words: a record, an appender, a reader. `MemoryLog` is the honest small one; Kafka is in `kafka`."""

import bisect
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from topics.errors import Unavailable

TopicPartition = tuple[str, int]


class Record(NamedTuple):
    """One record as it stands on the log. `timestamp_ms` is the writer's (CreateTime)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes

    @property
    def next_offset(self) -> int:
        """Where a reader stands after this record; the only place that says `+ 1`."""
        return self.offset + 1


class Stretch(NamedTuple):
    """Records of one partition in the order of the log, column by column: no object per record is made on the way.

    headers: per record the pairs as sent; a value may be None where the sender gave none.
    """

    topic: str
    partition: int
    offsets: list[int]
    timestamps_ms: list[int]
    keys: list[bytes | None]
    headers: list[Sequence[tuple[str, bytes | None]]]
    values: list[bytes]

    @property
    def next_offset(self) -> int:
        """Where a reader stands after the last of these records."""
        return self.offsets[-1] + 1

    def upto(self, end: int) -> "Stretch":
        """Its records below the offset `end`."""
        count = bisect.bisect_left(self.offsets, end)
        if count == len(self.offsets):
            return self
        return Stretch(
            self.topic,
            self.partition,
            self.offsets[:count],
            self.timestamps_ms[:count],
            self.keys[:count],
            self.headers[:count],
            self.values[:count],
        )

    def record(self, place: int) -> Record:
        """The record at this place of the columns."""
        headers = tuple((name, value or b"") for name, value in self.headers[place])
        stamp_ms, key, value = self.timestamps_ms[place], self.keys[place], self.values[place]
        return Record(self.topic, self.partition, self.offsets[place], stamp_ms, key, headers, value)

    def records(self) -> Iterator[Record]:
        """Its records, one by one."""
        return map(self.record, range(len(self.offsets)))


def stretches_of(records: Iterable[Record]) -> list[Stretch]:
    """The records as stretches, one per partition; those of a partition stay in their order."""
    parts: dict[TopicPartition, Stretch] = {}
    for topic, partition, offset, timestamp_ms, key, headers, value in records:
        stretch = parts.get((topic, partition))
        if stretch is None:
            stretch = parts[topic, partition] = Stretch(topic, partition, [], [], [], [], [])
        stretch.offsets.append(offset)
        stretch.timestamps_ms.append(timestamp_ms)
        stretch.keys.append(key)
        stretch.headers.append(headers)
        stretch.values.append(value)
    return list(parts.values())


def joined(parts: Iterable[Stretch]) -> list[Stretch]:
    """One stretch per partition, of parts that came one after the other. The first part of each is extended."""
    whole: dict[TopicPartition, Stretch] = {}
    for part in parts:
        before = whole.setdefault((part.topic, part.partition), part)
        if before is not part:
            assert before.next_offset <= part.offsets[0], f"{part.topic}-{part.partition}: {part.offsets[0]} came again"
            before.offsets.extend(part.offsets)
            before.timestamps_ms.extend(part.timestamps_ms)
            before.keys.extend(part.keys)
            before.headers.extend(part.headers)
            before.values.extend(part.values)
    return list(whole.values())


class Identity(NamedTuple):
    """Which log this is: the cluster's own id, and its own id of each topic, new when a topic is made anew."""

    cluster: str
    topic_ids: dict[str, str]


class Watermarks(NamedTuple):
    """A partition holds the offsets [low, high)."""

    low: int
    high: int


class Queue(Protocol):
    """Takes records for the log, in order per partition."""

    def append(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int = 0,
    ) -> None:
        """Queue one record; blocks (never drops) while the bounded queue is full. Raises Undelivered, BadRecord."""

    def poll(self) -> None:
        """Take news of deliveries. Raises Undelivered when one failed."""

    def pending(self) -> int:
        """Records that are queued or in flight."""


class Appender(Queue, Protocol):
    """A queue whose end can be waited for. Nothing is stored for sure before `flush` returns.

    stored: the offset of the last confirmed record of each partition that was appended to.
    """

    stored: dict[TopicPartition, int]

    def flush(self, timeout_s: float = 30.0) -> None:
        """Return when every queued record is confirmed. Raises Undelivered with the number that is not."""

    def close(self) -> None:
        """Flush and let go."""


class Reader(Protocol):
    """Reads assigned partitions from explicit offsets; never resets an offset by itself."""

    def read(self, records_max: int, timeout_s: float) -> list[Record]:
        """Up to `records_max` records, in order per partition; empty when none came in `timeout_s`."""

    def read_stretches(self, records_max: int, timeout_s: float, *, bare: bool = False) -> list[Stretch]:
        """As `read`, column by column; none is empty. bare: stamps, keys and headers may be left out, as empty columns."""

    def close(self) -> None:
        """Let go of the partitions."""


class Log(Protocol):
    """What the rest of the project needs of a log."""

    def create(self, topics: Mapping[str, Mapping[str, str]], partitions: int) -> list[str]:
        """Create absent topics (name -> settings); returns the names created. Raises TopicMismatch, Unavailable."""

    def partition_counts(self) -> dict[str, int]:
        """Topic -> number of partitions."""

    def watermarks(self, topics: Iterable[str]) -> dict[TopicPartition, Watermarks]:
        """[low, high) of every partition of `topics`. Raises Unavailable for an unknown topic."""

    def offsets_at(self, topic: str, timestamp_ms: int) -> dict[TopicPartition, int]:
        """Per partition the first offset stamped at or after `timestamp_ms`, else its end. Raises Unavailable."""

    def identity(self, topics: Iterable[str]) -> Identity:
        """Which log this is, and the ids of `topics`. Raises Unavailable for an unknown topic."""

    def records_at(self, places: Mapping[TopicPartition, int]) -> dict[TopicPartition, Record]:
        """The first record at or after each place; every place lies below its high watermark. Raises Unavailable."""

    def appender(self) -> Appender:
        """A new appender."""

    def reader(self, positions: Mapping[TopicPartition, int], *, gather_s: float = 0.0) -> Reader:
        """A reader of these partitions from these offsets. Raises Unavailable.

        gather_s: how long the log may gather records before it hands them over; each handing over costs it time.
        """


_RANGE_ROWS_MAX = 10_000
_RANGE_WAIT_S = 0.05
_RANGE_STILL_S = 60.0  # a partition that brings nothing for so long, before its end, will not


def read_ranges(log: Log, firsts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> list[Stretch]:
    """Exactly the records of [first, end) of each partition. Raises Unavailable when they do not come."""
    return joined(stretches_between(log, firsts, ends))


def stretches_between(
    log: Log,
    firsts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    *,
    records_max: int = _RANGE_ROWS_MAX,
    wait_s: float = _RANGE_WAIT_S,
    bare: bool = False,
) -> Generator[Stretch, None, None]:
    """The records of [first, end) of each partition as they come. Raises Unavailable when they do not come.

    records_max, wait_s, bare: of each read, see `Reader.read_stretches`.
    """
    waiting = {partition for partition, end in ends.items() if end > firsts[partition]}
    if not waiting:
        return
    still_s = 0.0
    left = sum(ends[partition] - firsts[partition] for partition in waiting)
    beyond = False  # the log goes on behind the ends
    reader = log.reader({partition: firsts[partition] for partition in waiting})
    try:
        while waiting:
            # Asked for more than is to come, the last read would wait all of its time.
            wanted = records_max if beyond else min(records_max, left)
            came = reader.read_stretches(wanted, wait_s, bare=bare)
            still_s = 0.0 if came else still_s + wait_s
            if still_s > _RANGE_STILL_S:
                raise Unavailable("the log", f"expected records up to {dict(ends)}, none came; {sorted(waiting)} wait")
            for part in came:
                partition = (part.topic, part.partition)
                if part.next_offset >= ends[partition]:
                    waiting.discard(partition)
                cut = part.upto(ends[partition])
                left -= len(cut.offsets)
                beyond = beyond or len(cut.offsets) < len(part.offsets)
                if cut.offsets:
                    yield cut
    finally:
        reader.close()


def all_records(log: Log, topics: Iterable[str]) -> Generator[Record, None, None]:
    """All records that stand on `topics` now, each partition's in order. Raises Unavailable when they do not come."""
    marks = log.watermarks(topics)
    lows = {partition: mark.low for partition, mark in marks.items()}
    for part in stretches_between(log, lows, {partition: mark.high for partition, mark in marks.items()}):
        yield from part.records()


class MemoryLog:
    """A log in this process, for tests of pure code. It keeps order and offsets; it has no other process and no disk."""

    def __init__(self) -> None:
        self._partitions: dict[str, list[list[Record]]] = {}

    def create(self, topics: Mapping[str, Mapping[str, str]], partitions: int) -> list[str]:
        """Create absent topics."""
        created = [name for name in topics if name not in self._partitions]
        for name in created:
            self._partitions[name] = [[] for _ in range(partitions)]
        return created

    def partition_counts(self) -> dict[str, int]:
        """Topic -> number of partitions."""
        return {name: len(partitions) for name, partitions in self._partitions.items()}

    def watermarks(self, topics: Iterable[str]) -> dict[TopicPartition, Watermarks]:
        """[0, length) of every partition."""
        return {
            (topic, number): Watermarks(0, len(records))
            for topic in topics
            for number, records in enumerate(self._topic(topic))
        }

    def offsets_at(self, topic: str, timestamp_ms: int) -> dict[TopicPartition, int]:
        """Per partition the first offset stamped at or after `timestamp_ms`, else its end."""
        return {
            (topic, number): next((r.offset for r in records if r.timestamp_ms >= timestamp_ms), len(records))
            for number, records in enumerate(self._topic(topic))
        }

    def identity(self, topics: Iterable[str]) -> Identity:
        """A log in memory is a cluster of its own; a topic's id is its name."""
        return Identity("memory", {topic: topic for topic in topics if self._topic(topic) is not None})

    def records_at(self, places: Mapping[TopicPartition, int]) -> dict[TopicPartition, Record]:
        """The records at these places."""
        return {(topic, number): self._topic(topic)[number][offset] for (topic, number), offset in places.items()}

    def appender(self) -> "MemoryAppender":
        """A new appender."""
        return MemoryAppender(self)

    def reader(self, positions: Mapping[TopicPartition, int], *, gather_s: float = 0.0) -> "MemoryReader":  # noqa: ARG002
        """A reader from these offsets; there is nothing to gather."""
        for (topic, number), offset in positions.items():
            length = len(self._topic(topic)[number])
            if not 0 <= offset <= length:
                raise Unavailable("the log", f"offset {offset} of {topic}-{number} is outside [0, {length}]")
        return MemoryReader(self, dict(positions))

    def _topic(self, topic: str) -> list[list[Record]]:
        if topic not in self._partitions:
            raise Unavailable("the log", f"unknown topic {topic!r}; run `tapefold migrate`")
        return self._partitions[topic]


class MemoryAppender:
    """Appends to a MemoryLog at once: its `flush` has nothing to wait for."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self.stored: dict[TopicPartition, int] = {}

    def append(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int = 0,
    ) -> None:
        """Append one record."""
        partitions = self._log._topic(topic)  # noqa: SLF001  # the two halves of one class
        number = partition_of(key, len(partitions)) if partition is None else partition
        records = partitions[number]
        self.stored[topic, number] = len(records)
        records.append(Record(topic, number, len(records), timestamp_ms, key, tuple(headers), value))

    def poll(self) -> None:
        """No news."""

    def pending(self) -> int:
        """None: a record is stored when `append` returns."""
        return 0

    def flush(self, timeout_s: float = 30.0) -> None:
        """Nothing is ever pending."""

    def close(self) -> None:
        """Nothing to let go."""


class MemoryReader:
    """Reads a MemoryLog from explicit offsets."""

    def __init__(self, log: MemoryLog, positions: dict[TopicPartition, int]) -> None:
        self._log = log
        self._positions = positions

    def read(self, records_max: int, timeout_s: float) -> list[Record]:  # noqa: ARG002  # a memory log never waits
        """Up to `records_max` records, partition after partition."""
        records: list[Record] = []
        for (topic, number), offset in self._positions.items():
            part = self._log._topic(topic)[number][offset : offset + records_max - len(records)]  # noqa: SLF001
            if part:
                records += part
                self._positions[topic, number] = part[-1].next_offset
        return records

    def read_stretches(self, records_max: int, timeout_s: float, *, bare: bool = False) -> list[Stretch]:  # noqa: ARG002
        """As `read`, column by column; nothing is left out, for nothing is gained by it here."""
        return stretches_of(self.read(records_max, timeout_s))

    def close(self) -> None:
        """Nothing to let go."""


_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def partition_of(key: bytes | None, partitions: int) -> int:
    """The partition of `key`: murmur2 as in Kafka's Java client (org.apache.kafka.common.utils.Utils.murmur2).

    A record without a key goes to partition 0 here; real clients may choose any.
    """
    if key is None:
        return 0
    h = (0x9747B28C ^ len(key)) & _MASK
    whole = len(key) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if tail := key[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    h ^= h >> 15
    return (h & 0x7FFFFFFF) % partitions
