"""What the fetcher hands over, read from bytes as a broker sends them."""

import asyncio
import struct

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from stream_processors import app, transport
from stream_processors.stages import Fetched
from topics.log import MemoryLog

FACTS = TopicPartition("fact.trade", 0)
RAW = TopicPartition("raw.kalshi.ws", 0)
CHANGELOG = TopicPartition(f"a-state{transport.CHANGELOG_SUFFIX}", 0)
LZ4 = 3


def batch(first, count):
    """One batch on the log: `count` records from offset `first` on, each with its offset as value."""
    builder = DefaultRecordBatchBuilder(2, LZ4, 0, -1, -1, -1, 1 << 20)
    for number in range(count):
        builder.append(number, 1_000 + number, b"key", b"%d" % (first + number), headers=[])
    data = bytearray(builder.build())
    data[:8] = struct.pack(">q", first)
    return bytes(data)


def unpacked(data, tp=FACTS, fetch_offset=0):
    return transport.PartitionRecords(tp, MemoryRecords(data), [], fetch_offset, None, None, True, 0)


@pytest.mark.parametrize("fetch_offset", range(9))
def test_each_batch_on_the_log_comes_as_columns_from_the_asked_offset_on(fetch_offset):
    """A fetch may begin in the middle of a batch: the broker sends it whole. Offsets that compaction left out are none."""
    data = batch(0, 3) + batch(3, 2) + batch(7, 2)
    records = unpacked(data, fetch_offset=fetch_offset)
    parts = list(records)
    wanted = [number for number in (0, 1, 2, 3, 4, 7, 8) if number >= fetch_offset]
    assert wanted == [offset for part in parts for offset in part.offsets]
    assert [b"%d" % number for number in wanted] == [value for part in parts for value in part.contents]
    assert all(part.offsets for part in parts)
    assert 9 == records.next_fetch_offset


def test_records_of_raw_topics_come_whole():
    """Ingest reads their headers, and a refusal keeps their key."""
    (part,) = unpacked(batch(4, 2), RAW)
    assert [(4, b"key", b"4"), (5, b"key", b"5")] == [(each.offset, each.key, each.value) for each in part.contents]
    assert [4, 5] == part.offsets


def test_several_batches_of_a_partition_are_joined_in_order():
    """The newest stamp of all is that of the whole."""
    one, two, three = unpacked(batch(0, 1) + batch(1, 3) + batch(4, 1))
    assert Fetched([0, 1, 2, 3, 4], [b"0", b"1", b"2", b"3", b"4"], 1_002) == Fetched.joined([one, two, three])
    assert one is Fetched.joined([one])


def test_an_altered_batch_raises_and_is_asked_for_again():
    """What stood before it was handed over; the position stays before the batch that is wrong."""
    data = bytearray(batch(0, 3) + batch(3, 2))
    data[-1] ^= 1
    records = unpacked(bytes(data))
    assert [0, 1, 2] == next(records).offsets
    with pytest.raises(CorruptRecordException):
        next(records)
    assert 3 == records.next_fetch_offset


def test_changelogs_come_as_faust_expects_them():
    """One dressed record at a time."""
    records = list(unpacked(batch(0, 3), CHANGELOG))
    assert [fetcher.ConsumerRecord] * 3 == [type(record) for record in records]
    assert [0, 1, 2] == [record.offset for record in records]


def test_registering_makes_it_what_the_fetcher_uses(monkeypatch):
    """The fetcher looks its class up by name when an answer comes."""
    monkeypatch.setattr(fetcher, "PartitionRecords", fetcher.PartitionRecords)
    transport.register()
    assert transport.PartitionRecords is fetcher.PartitionRecords
    assert "PartitionRecords" in fetcher.Fetcher._proc_fetch_request.__code__.co_names


def test_fetches_gather_for_as_long_as_we_say(tmp_path):
    """Faust's own wait is 1.5 s, or until there is one byte; both are private to aiokafka's consumer, which must use them."""

    async def made():
        settings = app.WorkerSettings(bootstrap="127.0.0.1:9", stage="fold", data_dir=tmp_path, partitions=4)
        worker = app.build(settings, MemoryLog().appender())
        return worker.consumer._new_consumer_thread()._create_worker_consumer(worker.transport)

    consumer = asyncio.run(made())
    assert (transport.FETCH_WAIT_MS, transport.FETCH_BYTES_MIN) == (
        consumer._fetch_max_wait_ms,
        consumer._fetch_min_bytes,
    )
    assert {"_fetch_max_wait_ms", "_fetch_min_bytes"} <= set(AIOKafkaConsumer.start.__code__.co_names)
