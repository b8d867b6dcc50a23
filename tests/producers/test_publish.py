"""What stands on the raw topic."""

from typing import Any

from producers.publish import PENDING_MAX, Outgoing, Publisher
from topics.codec import encode
from topics.events import BeatNotice, GapNotice
from topics.log import MemoryAppender, MemoryLog, Record, partition_of

TOPIC = "raw.kalshi.ws"
KEY = b"KXHIGHNY-26AUG10-B85.5"


def published(*outs: Outgoing, conn: str = "c1") -> list[Record]:
    log = MemoryLog()
    log.create({TOPIC: {}}, 3)
    publisher = Publisher(log.appender(), topic=TOPIC, partitions=3, source="kalshi.ws", conn="c0", clock="tape")
    for out in outs:
        publisher.of_conn(conn).put(out)
    return log.reader({(TOPIC, number): 0 for number in range(3)}).read(100, 0)


def test_a_frame_stands_under_its_key_with_its_headers() -> None:
    """The bytes as received, all headers in ASCII, the timestamp in milliseconds."""
    (record,) = published(Outgoing(b"{}", KEY, 1_786_406_485_000_000_999))

    assert (b"{}", KEY, 1_786_406_485_000) == (record.value, record.key, record.timestamp_ms)
    assert partition_of(KEY, 3) == record.partition
    assert (
        ("source", b"kalshi.ws"),
        ("kind", b"frame"),
        ("received_ns", b"1786406485000000999"),
        ("clock", b"tape"),
        ("conn", b"c1"),
        ("schema", b"1"),
    ) == record.headers


def test_a_snapshot_says_the_time_of_its_sid() -> None:
    """The header is there only when there was such a time."""
    (record,) = published(Outgoing(b"{}", KEY, 8, 7))

    assert ("sid_ns", b"7") == record.headers[-1]


class Asked(MemoryAppender):
    """An appender that notes which partitions are named."""

    def __init__(self) -> None:
        super().__init__(MemoryLog())
        self.partitions: list[int | None] = []

    def append(self, topic: str, value: bytes, *, partition: int | None = None, **rest: Any) -> None:  # noqa: ARG002
        """Note it."""
        self.partitions.append(partition)


def test_a_control_frame_goes_to_partition_zero_by_name() -> None:
    """Whatever a client does with records that have no key; one with a key is left to the partitioner."""
    asked = Asked()
    publisher = Publisher(asked, topic=TOPIC, partitions=3, source="s", conn="c", clock="wall")
    publisher.put(Outgoing(b"{}", None, 1))
    publisher.put(Outgoing(b"{}", KEY, 1))

    assert [0, None] == asked.partitions


def test_a_beat_goes_to_every_partition() -> None:
    """Once each."""
    beat = BeatNotice(source="kalshi.ws", conn="c1", clock_ns=1, lease_ns=2)
    records = published(Outgoing(beat, None, 1))

    assert [(number, None, encode(beat)) for number in range(3)] == [(r.partition, r.key, r.value) for r in records]
    assert [b"beat"] * 3 == [dict(record.headers)["kind"] for record in records]


def test_a_gap_stands_in_the_partition_of_its_market() -> None:
    """So that it keeps its place among the market's frames."""
    gap = GapNotice(
        source="kalshi.ws",
        conn="c1",
        sid=1,
        channel="trade",
        kind="stall",
        market_ticker=KEY.decode(),
        from_seq=None,
        to_seq=None,
        clock_ns=5,
    )
    frame, record = published(Outgoing(b"{}", KEY, 4), Outgoing(gap, KEY, 5))

    assert (frame.partition, b"gap", encode(gap)) == (record.partition, dict(record.headers)["kind"], record.value)


class Queue(MemoryAppender):
    """An appender that says how much waits, and counts how often it is polled."""

    def __init__(self, pending: int) -> None:
        super().__init__(MemoryLog())
        self.polls = 0
        self._pending = pending

    def pending(self) -> int:
        """As told."""
        return self._pending

    def poll(self) -> None:
        """One more."""
        self.polls += 1


def test_a_crowded_queue_is_told_and_polling_passes_through() -> None:
    """Past 80 % of the appender's queue."""
    for pending, crowded in ((PENDING_MAX, False), (PENDING_MAX + 1, True)):
        queue = Queue(pending)
        publisher = Publisher(queue, topic=TOPIC, partitions=1, source="s", conn="c", clock="wall")
        publisher.poll()
        assert (crowded, 1) == (publisher.crowded(), queue.polls)
