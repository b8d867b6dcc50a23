"""A topic is deleted and made anew on a real broker while the sink reads it."""

import time

import pytest
from confluent_kafka.admin import AdminClient
from sink_rig import RAW, Journal, Running, bronze, chain, writer

from sinks.tables import Tables
from topics.kafka import KafkaLog

BOOKS = "books"


class Told(Journal):
    """Keeps the reasons of stopped partitions."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[object] = []

    def warning(self, event: str, **fields: object) -> None:
        """Remember the event and its reason."""
        super().warning(event)
        if event == "sink_partition_stopped":
            self.reasons.append(fields["reason"])


@pytest.fixture
def broker(own_kafka: KafkaLog) -> KafkaLog:
    """A broker with two topics."""
    own_kafka.create({RAW: {}, BOOKS: {}}, 1)
    return own_kafka


def append(log: KafkaLog, topic: str, values: list[bytes]) -> None:
    """Append and wait for it."""
    appender = log.appender()
    for value in values:
        appender.append(topic, value, partition=0)
    appender.close()


def made_anew(log: KafkaLog) -> None:
    """Delete the raw topic and create it under its name."""
    admin = AdminClient({"bootstrap.servers": log.bootstrap})
    admin.delete_topics([RAW])[RAW].result(20)
    deadline = time.monotonic() + 20
    while RAW in log.partition_counts():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    log.create({RAW: {}}, 1)


@pytest.mark.parametrize("count", [0, 5, 50])
def test_its_partitions_stop_and_the_others_go_on(tables: Tables, broker: KafkaLog, count: int) -> None:
    """However many records the new one has: none of them is written under the old one's offsets."""
    append(broker, RAW, [b"old %d" % number for number in range(10)])
    journal = Told()
    with Running(writer(broker, tables, journal, topics=[RAW, BOOKS])) as running:
        running.drained()
        made_anew(broker)
        append(broker, RAW, [b"new %d" % number for number in range(count)])
        running.until(lambda: bool(journal.reasons))
        append(broker, BOOKS, [b"no JSON"])
        running.until(lambda: running.sink.positions().get((BOOKS, 0)) == 1)
    assert ["topic_id_mismatch"] == journal.reasons
    assert (10, 10) == bronze(tables)
    assert [[(0, 10, 10)]] == chain(tables)
