"""One contract of the log, held by the real one and by the small one in memory."""

import uuid

import pytest

from topics.errors import TopicMismatch, Unavailable
from topics.kafka import KafkaLog
from topics.log import Log, MemoryLog, Record, Watermarks, all_records, joined


@pytest.fixture(params=["memory", "kafka"])
def log(request: pytest.FixtureRequest) -> Log:
    """Each log in turn."""
    if request.param == "memory":
        return MemoryLog()
    kafka: KafkaLog = request.getfixturevalue("kafka")
    return kafka


@pytest.fixture
def topic(log: Log) -> str:
    """A fresh topic of three partitions."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    log.create({name: {}}, 3)
    return name


def read_all(log: Log, positions: dict[tuple[str, int], int], count: int) -> list[Record]:
    reader = log.reader(positions)
    records: list[Record] = []
    for _ in range(100):
        records += reader.read(1000, 0.2)
        if len(records) >= count:
            break
    reader.close()
    return records


def test_records_come_back_as_they_were_appended(log, topic):
    """Key, headers (in order, repeated names too), time stamp and arbitrary bytes survive; offsets count from 0."""
    appender = log.appender()
    headers = [("a", b"1"), ("a", b"2"), ("b", bytes(range(256)))]
    appender.append(topic, b"\x00\xff", key=b"k", partition=1, headers=headers, timestamp_ms=1_700_000_000_123)
    appender.append(topic, b"", partition=1, timestamp_ms=1_700_000_000_124)
    appender.flush()
    assert [
        Record(topic, 1, 0, 1_700_000_000_123, b"k", tuple(headers), b"\x00\xff"),
        Record(topic, 1, 1, 1_700_000_000_124, None, (), b""),
    ] == read_all(log, {(topic, 1): 0}, 2)


def test_a_partition_keeps_the_order_of_its_records(log, topic):
    """Five thousand records of one key come back in the order in which they were appended."""
    appender = log.appender()
    for number in range(5_000):
        appender.append(topic, b"%d" % number, key=b"same")
    appender.flush()
    records = read_all(log, {(topic, number): 0 for number in range(3)}, 5_000)
    assert [b"%d" % number for number in range(5_000)] == [record.value for record in records]
    assert 1 == len({record.partition for record in records})


def test_reading_starts_where_it_is_told_to(log, topic):
    """A position is an offset, and the record after one is at its next offset."""
    appender = log.appender()
    for number in range(10):
        appender.append(topic, b"%d" % number, partition=0)
    appender.flush()
    first = read_all(log, {(topic, 0): 4}, 6)[0]
    assert (4, 5) == (first.offset, first.next_offset)
    assert {
        (topic, 0): Watermarks(0, 10),
        (topic, 1): Watermarks(0, 0),
        (topic, 2): Watermarks(0, 0),
    } == log.watermarks([topic])


def test_an_offset_outside_the_log_is_an_error_and_never_a_reset(log, topic):
    """Reading from past the end fails by name."""
    with pytest.raises(Unavailable):
        read_all(log, {(topic, 0): 99}, 1)


def test_creating_again_creates_nothing(log, topic):
    """A topic that is there is left as it is."""
    assert [] == log.create({topic: {}}, 3)
    assert 3 == log.partition_counts()[topic]


def test_an_unknown_topic_is_named(log):
    """The error says which topic is missing and what to run."""
    with pytest.raises(Unavailable, match=r"unknown topic 'nowhere'; run `tapefold migrate`"):
        log.watermarks(["nowhere"])


def test_another_partition_count_is_refused(kafka):
    """Partition counts are frozen: another number is an error that names both."""
    kafka.create({"frozen": {}}, 2)
    with pytest.raises(TopicMismatch, match="expected 3 partitions, was 2 partitions"):
        kafka.create({"frozen": {}}, 3)


def test_offsets_at_a_time_are_those_of_the_first_records_from_then_on(log, topic):
    """A partition without any stands at its end; a record of exactly that time is included."""
    appender = log.appender()
    for stamp_ms in (1_000, 2_000, 3_000):
        appender.append(topic, b"", partition=1, timestamp_ms=stamp_ms)
    appender.append(topic, b"", partition=2, timestamp_ms=500)
    appender.flush()
    assert {(topic, 0): 0, (topic, 1): 1, (topic, 2): 1} == log.offsets_at(topic, 2_000)
    assert {(topic, 0): 0, (topic, 1): 2, (topic, 2): 1} == log.offsets_at(topic, 2_001)


def test_records_come_column_by_column(log, topic):
    """What `read` gives as records, `read_stretches` gives as columns, one stretch per partition."""
    appender = log.appender()
    for number in range(10):
        appender.append(
            topic,
            b"%d" % number,
            key=b"k" if number % 3 else None,
            partition=number % 2,
            headers=[("h", b"1")] * number,
        )
    appender.flush()
    positions = {(topic, 0): 0, (topic, 1): 0}
    expected = read_all(log, positions, 10)
    reader = log.reader(positions)
    parts = []
    for _ in range(100):
        parts += reader.read_stretches(1000, 0.2)
        if sum(len(part.offsets) for part in parts) >= 10:
            break
    reader.close()
    assert all(part.offsets for part in parts)
    whole = joined(parts)
    assert 2 == len(whole)
    assert sorted(expected) == sorted(record for part in whole for record in part.records())
    (one,) = (part for part in whole if part.partition == 1)
    assert ([0, 1, 2], b"5") == (one.upto(3).offsets, one.upto(3).values[-1])
    assert (5, one) == (one.next_offset, one.upto(99))


def test_a_log_says_which_it_is(log, topic):
    """The cluster has an id, and each topic one of its own; an unknown topic has none."""
    identity = log.identity([topic])
    assert identity.cluster
    assert identity.topic_ids[topic]
    assert identity == log.identity([topic])
    with pytest.raises(Unavailable):
        log.identity(["no-such-topic"])


def test_single_records_are_looked_up(log, topic):
    """One of each partition, wherever it stands."""
    appender = log.appender()
    for number in range(3_000):
        appender.append(topic, b"%d" % number, partition=number % 2)
    appender.flush()
    found = log.records_at({(topic, 0): 700, (topic, 1): 1_499})
    assert {(topic, 0): b"1400", (topic, 1): b"2999"} == {key: record.value for key, record in found.items()}
    assert {} == log.records_at({})


def test_topics_can_be_asked_at_once_after_they_were_created(log):
    """A broker that has just taken a topic may not lead its partitions yet: creating waits for that."""
    for _ in range(3):
        names = [f"t-{uuid.uuid4().hex[:8]}" for _ in range(20)]
        log.create({name: {} for name in names}, 4)
        assert {Watermarks(0, 0)} == set(log.watermarks(names).values())


def test_all_records_of_a_topic_are_those_that_stood_there_when_it_was_asked(log, topic):
    """An empty topic has none; each partition's come in order; what is appended while they are read is not waited for."""
    assert [] == list(all_records(log, [topic]))
    appender = log.appender()
    for number in range(30):
        appender.append(topic, b"%d" % number, partition=number % 3)
    appender.flush()
    found = all_records(log, [topic])
    read = [next(found)]
    appender.append(topic, b"late", partition=0)
    appender.flush()
    read += found
    for partition in range(3):
        values = [record.value for record in read if record.partition == partition]
        assert [b"%d" % number for number in range(partition, 30, 3)] == values
