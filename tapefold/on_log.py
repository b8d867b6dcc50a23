"""Facts that people put on the log: read back from the log itself, whether the store has them yet or not."""

from collections.abc import Iterator

from topics.codec import decode_fact
from topics.errors import Refused
from topics.facts import AnyFact
from topics.log import Log, all_records


def partitions_of(log: Log, topic: str) -> int:
    """How many partitions a topic has. Raises Refused when it is not there."""
    partitions = log.partition_counts().get(topic)
    if partitions is None:
        raise Refused("the topics are not there; run `tapefold migrate`")
    return partitions


def facts_of(log: Log, topic: str) -> Iterator[tuple[int, AnyFact]]:
    """All facts of a topic with their partition, each partition's in order. Raises Refused, Unavailable."""
    partitions_of(log, topic)
    for record in all_records(log, [topic]):
        yield record.partition, decode_fact(record.value)
