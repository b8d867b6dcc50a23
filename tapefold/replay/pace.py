"""Which part of a tape comes when: cuts of explicit offsets, read as fast as can be or at a recorded pace.

A tape's own time is when its records were received: the stamp of a raw record, what a fact says it was known at.
"""

import time
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from topics.catalog import FACT_POLICY, H_RECEIVED_NS, RAW_TOPICS
from topics.errors import Unavailable
from topics.kafka import KafkaLog
from topics.log import Log, Reader, Record, Stretch, TopicPartition, stretches_between, stretches_of
from topics.units import NS_PER_MS, NS_PER_S

READ_RECORDS_MAX = 20_000
FACTS_RECORDS_MAX = 3_000  # as many messages are still in the processor's cache when they are decoded and let go
PACED_RECORDS_MAX = 1_000  # at a recorded pace little is due at a time
STILL_S = 60.0  # a partition that brings nothing for so long, before its cut, will not
_READ_WAIT_S = 0.2
_PAUSE_S = 0.05

WHOLE = frozenset({*RAW_TOPICS, FACT_POLICY})  # of which more than offset and value is wanted

Cut = Mapping[TopicPartition, tuple[int, int]]  # the offsets [first, next) of each partition
Window = tuple[int | None, int | None]  # times [from, to) in nanoseconds, None: open


class Leg(Struct, frozen=True):
    """A part of the tape. speed: recorded seconds per second from begin_ns on, None: as fast as can be."""

    cut: dict[TopicPartition, tuple[int, int]]
    speed: float | None = None
    begin_ns: int | None = None


class _Known(Struct):
    """The times that a fact and a beat have."""

    known_ns: int | None = None
    clock_ns: int | None = None


_decode_known = msgspec.json.Decoder(_Known).decode


def cut_to_end(log: KafkaLog, topics: Sequence[str]) -> dict[TopicPartition, tuple[int, int]]:
    """All that the log holds of the topics at this moment."""
    return {partition: (marks.low, marks.high) for partition, marks in log.watermarks(topics).items()}


def legs_of(log: KafkaLog, whole: Cut, window: Window, speed: float | None, *, to_end: bool) -> list[Leg]:
    """The tape in parts: what came before the window as fast as can be, the window at its pace, and, if asked, the rest.

    What came before belongs to it: rows depend on all that was known.
    """
    begins = {partition: first for partition, (first, _) in whole.items()}
    ends = {partition: end for partition, (_, end) in whole.items()}
    starts = ends_at(log, whole, window[0]) if window[0] is not None and speed is not None else begins
    stops = ends if window[1] is None else ends_at(log, whole, window[1])
    legs = [
        Leg(_between(begins, starts)),
        Leg(_between(starts, stops), speed, window[0]),
        Leg(_between(stops, ends) if to_end else {}),
    ]
    return [leg for leg in legs if leg.cut]


def _between(
    firsts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, tuple[int, int]]:
    return {partition: (first, ends[partition]) for partition, first in firsts.items() if first < ends[partition]}


def ends_at(log: KafkaLog, whole: Cut, time_ns: int) -> dict[TopicPartition, int]:
    """Of each partition the first offset of the cut that the tape reached at `time_ns` or later, else the cut's end."""
    at_ms = -(-time_ns // NS_PER_MS)
    found: dict[TopicPartition, int] = {}
    for topic in {topic for topic, _ in whole if topic in RAW_TOPICS}:  # the log stamps them with the time of receipt
        found.update(log.offsets_at(topic, at_ms))
    found = {
        partition: min(max(found[partition], first), end)
        for partition, (first, end) in whole.items()
        if partition in found
    }
    return found | _searched(
        log, {partition: cut for partition, cut in whole.items() if partition not in found}, time_ns
    )


def _searched(log: Log, cut: Cut, time_ns: int) -> dict[TopicPartition, int]:
    """The same for facts, by halves: their log stamps say when an agent wrote them, which is not the tape's time."""
    low = {partition: first for partition, (first, _) in cut.items()}
    high = {partition: end for partition, (_, end) in cut.items()}
    while middles := {
        partition: (low[partition] + high[partition]) // 2 for partition in cut if low[partition] < high[partition]
    }:
        for partition, record in log.records_at(middles).items():
            if (stamp_ns(record) or 0) < time_ns:
                low[partition] = min(record.next_offset, high[partition])
            else:
                high[partition] = middles[partition]
    return low


def stamp_ns(record: Record) -> int | None:
    """When the tape reached a record: a raw one's receipt, a fact's known time, a beat's clock; None where none is said."""
    for name, value in record.headers:
        if name == H_RECEIVED_NS and value.isdigit():
            return int(value)
    if record.topic in RAW_TOPICS:
        return None
    known = _decode_known(record.value)
    return known.clock_ns if known.known_ns is None else known.known_ns


def stretches(log: Log, leg: Leg) -> Iterator[Stretch]:
    """Batches of one partition each, up to the cut, in the order of each partition."""
    wanted = {partition: offsets for partition, offsets in leg.cut.items() if offsets[0] < offsets[1]}
    if leg.speed is not None:
        return _Paced(log, wanted, leg.speed, leg.begin_ns).stretches()
    bare = not any(topic in WHOLE for topic, _ in wanted)
    return stretches_between(
        log,
        {partition: first for partition, (first, _) in wanted.items()},
        {partition: end for partition, (_, end) in wanted.items()},
        records_max=FACTS_RECORDS_MAX if bare else READ_RECORDS_MAX,
        wait_s=_READ_WAIT_S,
        bare=bare,
    )


class _Paced:
    """A tape at a recorded pace: a record comes when the tape has reached its stamp, and not before the one ahead of it."""

    def __init__(self, log: Log, wanted: Cut, speed: float, begin_ns: int | None) -> None:
        self._ends = {partition: end for partition, (_, end) in wanted.items()}
        self._readers: dict[TopicPartition, Reader] = {
            partition: log.reader({partition: first}) for partition, (first, _) in wanted.items()
        }
        self._heads: dict[TopicPartition, list[Record]] = {partition: [] for partition in wanted}
        self._speed = speed
        self._begin_ns = begin_ns
        self._begun_s: float | None = None
        self._came_s = time.monotonic()

    def stretches(self) -> Iterator[Stretch]:
        """What is due, again and again, until all has come. Raises Unavailable."""
        while self._readers:
            self._fill()
            due_ns = self._due_ns()
            due = list(self._take(due_ns))
            yield from due
            if not due:
                self._wait(due_ns)

    def _fill(self) -> None:
        """Read on where nothing waits to become due."""
        for partition, reader in self._readers.items():
            if not self._heads[partition]:
                read = reader.read(PACED_RECORDS_MAX, _READ_WAIT_S)
                self._heads[partition] = [record for record in read if record.offset < self._ends[partition]]
                if read:
                    self._came_s = time.monotonic()

    def _due_ns(self) -> int:
        """How far the tape has come. It begins to run when its first records are there."""
        if self._begun_s is None:
            stamps = [stamp for stamp in map(self._head_ns, self._readers) if stamp is not None]
            if not stamps:
                return 0
            self._begun_s = time.monotonic()
            if self._begin_ns is None:
                self._begin_ns = min(stamps)
        assert self._begin_ns is not None
        return self._begin_ns + int((time.monotonic() - self._begun_s) * self._speed * NS_PER_S)

    def _head_ns(self, partition: TopicPartition) -> int | None:
        head = self._heads[partition]
        return stamp_ns(head[0]) if head else None

    def _take(self, due_ns: int) -> Iterator[Stretch]:
        for partition in list(self._readers):
            head = self._heads[partition]
            count = next((n for n, record in enumerate(head) if (stamp_ns(record) or 0) > due_ns), len(head))
            if count:
                yield from stretches_of(head[:count])
                self._heads[partition] = head[count:]
                if head[count - 1].next_offset >= self._ends[partition]:
                    self._readers.pop(partition).close()

    def _wait(self, due_ns: int) -> None:
        """Let time pass, until the next record is due."""
        stamps = [stamp for stamp in map(self._head_ns, self._readers) if stamp is not None]
        if not stamps:
            if time.monotonic() - self._came_s > STILL_S:
                raise Unavailable("the log", f"no record for {STILL_S:.0f} s before the cut of {sorted(self._readers)}")
            return
        time.sleep(min(max((min(stamps) - due_ns) / NS_PER_S / self._speed, 0.001), _PAUSE_S))
