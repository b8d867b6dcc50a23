"""The log on Kafka. The only module that imports confluent_kafka (librdkafka).

Producer: idempotent, acks=all, bounded queue, a delivery callback per record. Reader: explicit offsets, no group, no
automatic reset. Settings follow librdkafka's CONFIGURATION.md (read 2026-11).
"""

import contextlib
import functools
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import confluent_kafka
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import Message, NewTopic

from topics.errors import BadRecord, TopicMismatch, Unavailable, Undelivered
from topics.log import Identity, Record, Stretch, TopicPartition, Watermarks

QUEUE_RECORDS_MAX = 100_000  # in flight and waiting; past it `append` waits, which slows the socket, not the truth
QUEUE_KBYTES_MAX = 262_144
RECORD_BYTES_MAX = 16 * 1024 * 1024  # a Kalshi frame may be 64 MiB by contract; none seen was over 100 KiB
AHEAD_KBYTES = 65_536
_PARTITION_BYTES_MAX = 4 * 1024 * 1024  # of one fetch
_FETCH_BYTES_MAX = 50 * 1024 * 1024  # librdkafka's default
_ADMIN_TIMEOUT_S = 15.0
_POLL_S = 0.05
_LOOKS_MAX = 600  # of _POLL_S each
_GATHER_BYTES = 1024 * 1024  # are handed over at once, however long a reader would wait

# What every producer of ours is told.
RELIABLE: Mapping[str, str | int | float | bool] = {
    "enable.idempotence": True,
    "partitioner": "murmur2_random",  # as Java and aiokafka place keys; a shared vector test proves it
    "compression.type": "lz4",
    "message.max.bytes": RECORD_BYTES_MAX,
    "delivery.timeout.ms": 120_000,  # the broker may be away so long; what it then lacks is not known
}


def refusal_of(error: confluent_kafka.KafkaException, value: bytes) -> BadRecord | Unavailable:
    """Why a producer did not take a record: its size, or else the broker."""
    if error.args[0].code() == confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE:
        return BadRecord("too_large", f"expected at most {RECORD_BYTES_MAX} bytes, was {len(value)}")
    return Unavailable("the broker", str(error))


class KafkaLog:
    """A Kafka cluster. `options`: librdkafka settings that every client shares (security), beside the address.

    ahead_kbytes: what a reader fetches before it is asked for.
    """

    def __init__(
        self, bootstrap: str, options: Mapping[str, str] | None = None, *, ahead_kbytes: int = AHEAD_KBYTES
    ) -> None:
        self.bootstrap = bootstrap
        self._ahead_kbytes = ahead_kbytes
        self._options: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap,
            "log_level": 3,
            **(options or {}),
        }

    @property
    def options(self) -> Mapping[str, str | int | float | bool]:
        """What every client of this cluster is told: its address and its security."""
        return self._options

    def create(self, topics: Mapping[str, Mapping[str, str]], partitions: int) -> list[str]:
        """Create absent topics with as many replicas as there are brokers, at most three.

        Raises TopicMismatch when a topic is there with another partition count, Unavailable when no broker answers.
        """
        metadata = self._metadata()
        replicas = min(3, len(metadata.brokers))
        for name in topics:
            if name in metadata.topics and len(metadata.topics[name].partitions) != partitions:
                was = len(metadata.topics[name].partitions)
                raise TopicMismatch(name, f"{partitions} partitions", f"{was} partitions")
        absent = [name for name in topics if name not in metadata.topics]
        wanted = [NewTopic(name, partitions, replicas, config=dict(topics[name])) for name in absent]
        if wanted:
            for name, future in self._admin.create_topics(wanted, operation_timeout=_ADMIN_TIMEOUT_S).items():
                try:
                    future.result()
                except confluent_kafka.KafkaException as error:
                    raise Unavailable("the broker", f"topic {name!r} could not be created: {error}") from error
            self._wait_for_leaders(absent)
        return absent

    def _wait_for_leaders(self, topics: Sequence[str]) -> None:
        """Return when every partition answers: one that was created a moment ago may have no leader yet."""
        for look in range(_LOOKS_MAX):
            try:
                self.watermarks(topics)
            except Unavailable:
                if look == _LOOKS_MAX - 1:
                    raise
                time.sleep(_POLL_S)
            else:
                return

    def partition_counts(self) -> dict[str, int]:
        """Topic -> number of partitions."""
        metadata = self._metadata()
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def watermarks(self, topics: Iterable[str]) -> dict[TopicPartition, Watermarks]:
        """[low, high) of every partition of `topics`."""
        consumer = self._consumer("tapefold-watermarks")
        try:
            counts = self.partition_counts()
            marks: dict[TopicPartition, Watermarks] = {}
            for topic in topics:
                if topic not in counts:
                    raise Unavailable("the log", f"unknown topic {topic!r}; run `tapefold migrate`")
                for number in range(counts[topic]):
                    partition = confluent_kafka.TopicPartition(topic, number)
                    low, high = consumer.get_watermark_offsets(partition, timeout=_ADMIN_TIMEOUT_S)
                    marks[topic, number] = Watermarks(low, high)
            return marks
        except confluent_kafka.KafkaException as error:
            raise Unavailable("the broker", str(error)) from error
        finally:
            consumer.close()

    def offsets_at(self, topic: str, timestamp_ms: int) -> dict[TopicPartition, int]:
        """Per partition the first offset stamped at or after `timestamp_ms`, else its end."""
        ends = self.watermarks([topic])
        consumer = self._consumer("tapefold-watermarks")
        try:
            wanted = [confluent_kafka.TopicPartition(topic, number, timestamp_ms) for _, number in ends]
            found = consumer.offsets_for_times(wanted, timeout=_ADMIN_TIMEOUT_S)
        except confluent_kafka.KafkaException as error:
            raise Unavailable("the broker", str(error)) from error
        finally:
            consumer.close()
        return {
            (topic, each.partition): ends[topic, each.partition].high if each.offset < 0 else each.offset
            for each in found
        }

    def identity(self, topics: Iterable[str]) -> Identity:
        """Which cluster this is, and its own id of each topic."""
        names = list(topics)
        try:
            described = self._admin.describe_topics(TopicCollection(names), request_timeout=_ADMIN_TIMEOUT_S)
            ids = {name: str(future.result().topic_id) for name, future in described.items()} if names else {}
        except confluent_kafka.KafkaException as error:
            raise Unavailable("the broker", f"{self.bootstrap}: {error}; run `tapefold migrate`") from error
        return Identity(self._metadata().cluster_id or "", ids)

    def records_at(self, places: Mapping[TopicPartition, int]) -> dict[TopicPartition, Record]:
        """The first record at or after each place; fetches little, as one record of each partition is wanted."""
        consumer = self._consumer("tapefold-look", {"fetch.message.max.bytes": 65_536, "queued.min.messages": 1})
        reader = KafkaReader(consumer, places)
        found: dict[TopicPartition, Record] = {}
        try:
            for _ in range(_LOOKS_MAX):
                if len(found) == len(places):
                    return found
                for record in reader.read(1_000, _POLL_S):
                    if (partition := (record.topic, record.partition)) not in found:
                        found[partition] = record
                        consumer.pause([confluent_kafka.TopicPartition(*partition)])
            absent = sorted(places.keys() - found.keys())
            raise Unavailable("the broker", f"no record came within {_LOOKS_MAX * _POLL_S:.0f} s from {absent}")
        finally:
            reader.close()

    def committed(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The group's committed offsets, 0 where it has none. For lag and draining; never a position to trust."""
        consumer = self._consumer(group)
        try:
            wanted = [confluent_kafka.TopicPartition(topic, number) for topic, number in partitions]
            answers = consumer.committed(wanted, timeout=_ADMIN_TIMEOUT_S)
            return {(answer.topic, answer.partition): max(answer.offset, 0) for answer in answers}
        except confluent_kafka.KafkaException as error:
            raise Unavailable("the broker", str(error)) from error
        finally:
            consumer.close()

    def appender(self) -> "KafkaAppender":
        """A new idempotent producer."""
        return KafkaAppender(self._options)

    def reader(self, positions: Mapping[TopicPartition, int], *, gather_s: float = 0.0) -> "KafkaReader":
        """A consumer of these partitions from these offsets."""
        gathering = {
            "fetch.min.bytes": _GATHER_BYTES,
            "fetch.wait.max.ms": round(gather_s * 1000),
            # What is on its way comes on top of what is queued, several times as large once it is unpacked.
            "fetch.message.max.bytes": min(_PARTITION_BYTES_MAX, self._ahead_kbytes * 64),
            "fetch.max.bytes": min(_FETCH_BYTES_MAX, self._ahead_kbytes * 1024),
        }
        return KafkaReader(self._consumer("tapefold-reader", gathering if gather_s else {}), positions)

    def _consumer(self, group: str, options: Mapping[str, int] | None = None) -> confluent_kafka.Consumer:
        return confluent_kafka.Consumer(
            {
                **self._options,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": False,
                "fetch.wait.max.ms": 50,
                "fetch.message.max.bytes": _PARTITION_BYTES_MAX,
                "queued.max.messages.kbytes": self._ahead_kbytes,
                "fetch.queue.backoff.ms": 20,  # once the queue is full; the default leaves it empty for most of 1 s
                **(options or {}),
            }
        )

    @functools.cached_property
    def _admin(self) -> AdminClient:
        """One for all questions, from the first on: a client of its own for each cost 30 ms, and the sink asks with every batch.

        Its calls raise what is wrong; between them a broker that is away is nobody's news.
        """
        return AdminClient({**self._options, "log_level": 2})

    def _metadata(self) -> Any:
        try:
            return self._admin.list_topics(timeout=_ADMIN_TIMEOUT_S)
        except confluent_kafka.KafkaException as error:
            raise Unavailable("the broker", f"{self.bootstrap}: {error}") from error


class KafkaAppender:
    """librdkafka's idempotent producer behind `Appender`. The delivery callback is the only truth about storage."""

    def __init__(self, options: Mapping[str, str | int | float | bool]) -> None:
        self.stored: dict[TopicPartition, int] = {}
        self._failures: list[str] = []
        self._producer = confluent_kafka.Producer(
            {
                **options,
                **RELIABLE,
                "linger.ms": 20,  # of those who do not flush; at 5 ms 2,000 frames/s make 200 requests a second
                "batch.size": 524_288,
                "queue.buffering.max.messages": QUEUE_RECORDS_MAX,
                "queue.buffering.max.kbytes": QUEUE_KBYTES_MAX,
            }
        )
        self._appended = 0

    def append(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int = 0,
    ) -> None:
        """Queue one record; waits while the queue is full. `timestamp_ms` 0 lets librdkafka stamp it."""
        number = -1 if partition is None else partition
        while True:
            try:
                self._producer.produce(
                    topic, value, key, number, self._delivered, timestamp=timestamp_ms, headers=list(headers)
                )
                break
            except BufferError:
                self._producer.poll(_POLL_S)
                self._raise_failures()
            except confluent_kafka.KafkaException as error:
                raise refusal_of(error, value) from error
        self._appended += 1
        if not self._appended & 0x3FF:  # serve callbacks now and then: their queue is unbounded otherwise
            self._producer.poll(0)
            self._raise_failures()

    def poll(self) -> None:
        """Serve delivery callbacks. Raises Undelivered when one brought an error."""
        self._producer.poll(0)
        self._raise_failures()

    def pending(self) -> int:
        """Records that are queued or in flight."""
        return len(self._producer)

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait for every delivery callback."""
        left = self._producer.flush(timeout_s)
        self._raise_failures()
        if left:
            raise Undelivered(left, f"no confirmation within {timeout_s} s")

    def close(self) -> None:
        """Flush; librdkafka closes with the object."""
        self.flush()

    def _delivered(self, error: confluent_kafka.KafkaError | None, message: Any) -> None:
        if error is None:
            self.stored[message.topic(), message.partition()] = message.offset()
        else:
            self._failures.append(f"{message.topic()}: {error}")

    def _raise_failures(self) -> None:
        if self._failures:
            failures, self._failures = self._failures, []
            raise Undelivered(len(failures), failures[0])


class KafkaReader:
    """A consumer with explicit positions. An offset outside the log is an error, never a reset."""

    def __init__(self, consumer: confluent_kafka.Consumer, positions: Mapping[TopicPartition, int]) -> None:
        self._consumer = consumer
        consumer.assign(
            [confluent_kafka.TopicPartition(t, number, offset) for (t, number), offset in positions.items()]
        )

    def read(self, records_max: int, timeout_s: float) -> list[Record]:
        """Up to `records_max` records. Raises Unavailable when the broker reports an error that is not passing."""
        return list(map(_record, self._consume(records_max, timeout_s)))

    def read_stretches(self, records_max: int, timeout_s: float, *, bare: bool = False) -> list[Stretch]:
        """As `read`, column by column: the library's getters are mapped, so that Python runs no code per record.

        bare: offsets and values alone, which are two thirds of the price.
        """
        parts: dict[TopicPartition, list[Any]] = {}
        for number, run in groupby(self._consume(records_max, timeout_s), _GET.partition):
            for topic, messages in _by_topic(list(run)):
                parts.setdefault((topic, number), []).extend(messages)
        return [
            Stretch(
                topic,
                number,
                list(map(_GET.offset, messages)),
                [] if bare else [stamp for _, stamp in map(_GET.timestamp, messages)],
                [] if bare else list(map(_GET.key, messages)),
                [] if bare else [pairs or () for pairs in map(_GET.headers, messages)],
                [value or b"" for value in map(_GET.value, messages)],  # a tombstone is read as an empty value
            )
            for (topic, number), messages in parts.items()
        ]

    def _consume(self, records_max: int, timeout_s: float) -> list[Any]:
        messages: list[Any] = self._consumer.consume(records_max, timeout_s)
        if not any(map(_GET.error, messages)):
            return messages
        for message in messages:
            error = message.error()
            # What passes, librdkafka keeps trying by itself; lag shows it.
            if error is not None and not error.retriable() and error.code() not in _PASSING:
                raise Unavailable("the broker", f"{message.topic()}-{message.partition()}: {error}")
        return [message for message in messages if message.error() is None]

    def close(self) -> None:
        """Let go of the partitions."""
        with contextlib.suppress(RuntimeError):  # closed before
            self._consumer.close()


_GET: Any = Message  # the library types every field as optional; a message without error has them


def _by_topic(messages: list[Any]) -> Iterable[tuple[str, list[Any]]]:
    """Messages of one partition number, as they were fetched: most often all of one topic."""
    topics = set(map(_GET.topic, messages))
    if len(topics) == 1:
        return ((topics.pop(), messages),)
    return ((topic, list(run)) for topic, run in groupby(messages, _GET.topic))


def _record(message: Any) -> Record:
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        tuple((name, value or b"") for name, value in message.headers() or ()),
        message.value() or b"",  # a tombstone, which none of our topics has, is read as an empty value
    )


_PASSING = frozenset(
    {
        confluent_kafka.KafkaError._TRANSPORT,  # noqa: SLF001  # the constants have no public names
        confluent_kafka.KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        confluent_kafka.KafkaError._TIMED_OUT,  # noqa: SLF001
        confluent_kafka.KafkaError._RESOLVE,  # noqa: SLF001
    }
)
