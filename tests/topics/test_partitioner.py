"""Every client puts a key into the same partition."""

from aiokafka.partitioner import DefaultPartitioner

from topics.log import partition_of

# Keys and their murmur2 partition of 16, as Kafka's Java client computes it: toPositive(murmur2(key)) % 16.
# From the vectors of Kafka's UtilsTest.testMurmur2: murmur2 of "21", "foobar", "a-little-bit-long-string",
# "a-little-bit-longer-string", "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", "abc".
JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
KEYS = [b"", b"K", b"KMIA", b"KNYC", b"KXGOLD15M", b"KXHIGHNY-25APR04-B72.5", b"\xff\x80\x7f", *JAVA]


def test_our_partitioner_is_that_of_the_java_client():
    """The vectors of Kafka's own test."""
    assert {key: (value & 0x7FFFFFFF) % 16 for key, value in JAVA.items()} == {
        key: partition_of(key, 16) for key in JAVA
    }


def test_aiokafka_agrees():
    """The agents' changelog keys fall where ours do."""
    partitions = list(range(7))
    partitioner = DefaultPartitioner()
    assert [partition_of(key, 7) for key in KEYS] == [partitioner(key, partitions, partitions) for key in KEYS]


def test_librdkafka_agrees(kafka):
    """The producers' and agents' records fall where ours do."""
    kafka.create({"vectors": {}}, 7)
    appender = kafka.appender()
    for key in KEYS:
        appender.append("vectors", key, key=key)
    appender.flush()
    reader = kafka.reader({("vectors", number): 0 for number in range(7)})
    records = []
    while len(records) < len(KEYS):
        records += reader.read(100, 1.0)
    assert {key: partition_of(key, 7) for key in KEYS} == {record.key: record.partition for record in records}
