"""Facts that people put on the log: read back from the log itself, whether the store has them yet or not."""

from collections.abc import Iterator

from topics.codec import decode_fact
from topics.errors import Refused
from topics.facts import AnyFact
from topics.log import Log

_READ_MAX = 1_000
_READ_TIMEOUT_S = 5.0


def partitions_of(log: Log, topic: str) -> int:
    """How many partitions a topic has. Raises Refused when it is not there."""
    partitions = log.partition_counts().get(topic)
    if partitions is None:
        raise Refused("the topics are not there; run `tapefold migrate`")
    return partitions


def facts_of(log: Log, topic: str) -> Iterator[tuple[int, AnyFact]]:
    """All facts of a topic with their partition, each partition's in order. Raises Refused, Unavailable."""
    partitions_of(log, topic)
    marks = log.watermarks([topic])
    reader = log.reader({place: mark.low for place, mark in marks.items()})
    left = sum(mark.high - mark.low for mark in marks.values())
    while left > 0:
        records = reader.read(min(left, _READ_MAX), _READ_TIMEOUT_S)
        if not records:
            break  # offsets without a record: the log is at its end
        left -= len(records)
        for record in records:
            yield record.partition, decode_fact(record.value)
    reader.close()
