"""What a worker of the replay reads: every record before the cut, none after it, each partition in order."""

import pytest
import tape

from tapefold.replay import workers
from topics.catalog import FACT_POLICY, FOLD_TOPICS, RAW_KALSHI_WS, RAW_TOPICS
from topics.errors import Refused
from topics.log import MemoryLog


@pytest.fixture
def log():
    """A log with a tape of some seconds on it."""
    made = tape.tape(5, minutes=1, steps=200)
    memory = MemoryLog()
    memory.create({RAW_KALSHI_WS: {}}, made.partitions)
    appender = memory.appender()
    for record in made.records():
        appender.append(
            record.topic, record.value, key=record.key, partition=record.partition, headers=record.headers,
            timestamp_ms=record.timestamp_ms,
        )  # fmt: skip
    return memory


def places(batches):
    """Offsets by partition, in the order in which they came."""
    found = {}
    for stretch in batches:
        found.setdefault((stretch.topic, stretch.partition), []).extend(stretch.offsets)
    return found


@pytest.mark.parametrize("speed", [None, 3_000.0])
def test_a_cut_is_read_exactly(log, speed):
    """From its first offset to the one before its end, at any pace."""
    cut = {(RAW_KALSHI_WS, 0): (3, 60), (RAW_KALSHI_WS, 1): (0, 41)}
    assert {partition: list(range(*offsets)) for partition, offsets in cut.items()} == places(
        workers.batches(log, cut, speed)
    )


def test_an_empty_cut_reads_nothing(log):
    """Nothing is waited for."""
    assert {} == places(workers.batches(log, {(RAW_KALSHI_WS, 0): (7, 7)}, None))


def test_at_a_pace_partitions_keep_step(log):
    """The tape moves as a whole: no partition is through before the other has begun."""
    cut = workers.cut_to_end(log, [RAW_KALSHI_WS])
    came = [(stretch.partition, stretch.next_offset) for stretch in workers.batches(log, cut, 60.0)]
    through = [came.index((number, end)) for (_, number), (_, end) in cut.items()]
    begun = [[partition for partition, _ in came].index(number) for _, number in cut]
    assert max(begun) < min(through)


def test_topics_are_named_by_kind_or_one_by_one():
    """Raw and facts cannot be mixed: one is made of the other."""
    assert (*RAW_TOPICS, FACT_POLICY) == workers.topics_of(None) == workers.topics_of("raw")
    assert FOLD_TOPICS == workers.topics_of("facts")
    assert ("fact.trade", "fact.book") == workers.topics_of("fact.trade, fact.book")
    for wrong in ("nonsense", "raw.kalshi.ws,fact.trade", ","):
        with pytest.raises(Refused, match="--topics: expected raw, facts"):
            workers.topics_of(wrong)


def test_a_generation_is_a_name():
    """It becomes part of a database's name, so it must be one."""
    assert "tapefold_gen_a1" == workers.database_of("a1")
    for wrong in ("", "A", "a;DROP", "a" * 50):
        with pytest.raises(Refused, match="--generation"):
            workers.database_of(wrong)
