"""May a sink go on here? What its commits say of a partition is compared with the log before anything is written. Pure.

Nothing resets an offset. A partition that does not fit is stopped, by a name, with the command that comes next.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from sinks import columns
from sinks.batch import Tail, tail_of
from topics.errors import Refused
from topics.log import Identity, Record, TopicPartition, Watermarks

StopReason = Literal[
    "cluster_id_mismatch",  # the commits were made from another cluster
    "topic_id_mismatch",  # the topic was deleted and made anew: its offsets mean other records
    "offset_below_low_watermark",  # the log no longer holds what comes next: retention was faster than the sink
    "offset_above_high_watermark",  # the log ends before the position: it was truncated
    "tail_fingerprint_mismatch",  # the record before the position is another one: truncated and grown again
    "schema_incompatible",  # a record was written by code whose schema we do not take
]
_REMEDY: dict[StopReason, str] = {
    "cluster_id_mismatch": "set KAFKA_BOOTSTRAP to the first cluster, or CLICKHOUSE_URL to a store of this cluster's own",
    "topic_id_mismatch": "restore the topic, or set CLICKHOUSE_URL to a store for the new one; its offsets begin anew",
    "offset_below_low_watermark": "restore the records, or give them up: `tapefold sink accept-gap {topic} {partition}`",
    "offset_above_high_watermark": "records were lost on the log; run `tapefold audit contiguity --full`, and restore what it names, or"
    " set CLICKHOUSE_URL to a store for what is left",
    "tail_fingerprint_mismatch": "the log was cut and written anew; run `tapefold audit contiguity --full`, and restore what it"
    " names, or set CLICKHOUSE_URL to a store for what is there",
    "schema_incompatible": "category C: upgrade the sink, or widen SCHEMA_COMPAT_MIN and SCHEMA_COMPAT_MAX after a look",
}


class Committed(NamedTuple):
    """The last commit of a partition. cluster, topic_id: empty where it was written before they were told.

    tail: the last record before `next`; None when an accepted gap ends there.
    """

    cluster: str
    topic_id: str
    next: int
    tail: Tail | None


class PartitionStopped(Refused):
    """The sink does not go on with a partition. Nothing is written and no offset is reset.

    reason: from a closed list; expected, was: in words; position: where the partition stands.
    """

    def __init__(self, reason: StopReason, partition: TopicPartition, position: int, expected: str, was: str) -> None:
        super().__init__(reason, partition, position, expected, was)
        self.reason: StopReason = reason
        self.partition = partition
        self.position = position
        self.expected = expected
        self.was = was

    def __str__(self) -> str:
        topic, number = self.partition
        remedy = _REMEDY[self.reason].format(topic=topic, partition=number)
        return f"{self.reason}: {topic}-{number} at {self.position}: expected {self.expected}, was {self.was}; {remedy}"


def position_of(partition: TopicPartition, committed: Committed | None, identity: Identity, marks: Watermarks) -> int:
    """Where to read from: the committed position, without one the low watermark. Raises PartitionStopped.

    The tail is compared apart from this, as the record must be read for it.
    """
    if committed is None:
        return marks.low
    topic_id = identity.topic_ids[partition[0]]
    at = committed.next
    if committed.cluster and committed.cluster != identity.cluster:
        raise PartitionStopped("cluster_id_mismatch", partition, at, committed.cluster, identity.cluster)
    if committed.topic_id and committed.topic_id != topic_id:
        raise PartitionStopped("topic_id_mismatch", partition, at, committed.topic_id, topic_id)
    span = f"a position within [{marks.low}, {marks.high}]"
    if at < marks.low:
        raise PartitionStopped("offset_below_low_watermark", partition, at, span, str(at))
    if at > marks.high:
        raise PartitionStopped("offset_above_high_watermark", partition, at, span, str(at))
    return at


def first_of(
    topic: str, known: Mapping[TopicPartition, Committed], identity: Identity, marks: Watermarks
) -> Committed | None:
    """What is to be held of a partition without a commit: it began where the log does, in the topic of its others' commits."""
    others = [each for (name, _), each in known.items() if name == topic and each.topic_id]
    if not others or any(each.topic_id == identity.topic_ids[topic] for each in others):
        return None
    return others[0]._replace(next=marks.low, tail=None)


class Gap(NamedTuple):
    """The offsets [first, next) that an operator gives up, the error answered with that, and what was said."""

    topic: str
    topic_id: str
    partition: int
    first: int
    next: int
    reason: StopReason
    note: str


def gap_to_accept(
    partition: TopicPartition, committed: Committed | None, identity: Identity, marks: Watermarks, note: str
) -> Gap:
    """What is given up when a sink goes on at the low watermark. Raises Refused unless retention passed the position."""
    topic, number = partition
    try:
        at = position_of(partition, committed, identity, marks)
    except PartitionStopped as error:
        if error.reason != "offset_below_low_watermark":
            raise
        return Gap(topic, identity.topic_ids[topic], number, error.position, marks.low, error.reason, note)
    raise Refused(
        f"{topic}-{number}: expected a position below the log's first offset {marks.low}, was {at}; "
        "nothing is lost and nothing to accept"
    )


def has_tail(committed: Committed | None, marks: Watermarks) -> bool:
    """Whether the record before the position is known and still on the log."""
    return committed is not None and committed.tail is not None and committed.next > marks.low


def check_tail(partition: TopicPartition, committed: Committed, found: Record) -> None:
    """Compare the record before the position with what the commit says of it. Raises PartitionStopped."""
    expected = committed.tail
    assert expected is not None
    was = tail_of(int(columns.clipped_ms([found.timestamp_ms])[0]), found.key, found.value)
    if found.offset != committed.next - 1 or was != expected:
        raise PartitionStopped(
            "tail_fingerprint_mismatch",
            partition,
            committed.next,
            f"offset {committed.next - 1} of {expected.timestamp_ms} ms with CRC {expected.crc32:08x}",
            f"offset {found.offset} of {was.timestamp_ms} ms with CRC {was.crc32:08x}",
        )
