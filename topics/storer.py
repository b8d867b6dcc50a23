"""Appends whose fate is told one by one: for receivers that must not answer before their record is stored.

`KafkaStorer` is librdkafka's idempotent producer with a callback per record, `MemoryStorer` the honest small one.
Unlike an `Appender` a storer never blocks: when its queue is full it says so, and the caller answers "later".
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import confluent_kafka

from topics.errors import Unavailable, Undelivered
from topics.kafka import RELIABLE, refusal_of
from topics.log import MemoryLog

QUEUE_RECORDS_MAX = 10_000  # ten seconds of the busiest sender; past it senders are told to come again
_LINGER_MS = 2
_BY_KEY = -1  # librdkafka's own word


class Place(NamedTuple):
    """Where a record stands on its topic."""

    partition: int
    offset: int


class Entry(NamedTuple):
    """A record to store. timestamp_ms: the writer's, milliseconds since the epoch. partition: None: by the key."""

    topic: str
    value: bytes
    key: bytes | None
    headers: Sequence[tuple[str, bytes]]
    timestamp_ms: int
    partition: int | None = None


OnStored = Callable[[Place | Undelivered], None]


class Storer(Protocol):
    """Stores records and tells of each, from within `poll` or `flush`, whether and where it stands."""

    def store(self, entry: Entry, on_stored: OnStored) -> None:
        """Queue one record. Raises Unavailable when the queue is full, BadRecord (`too_large`)."""

    def poll(self) -> None:
        """Make the callbacks that are due, without waiting."""

    def pending(self) -> int:
        """Records whose fate is not known yet."""

    def close(self, timeout_s: float) -> None:
        """Wait for the callbacks of all that is queued, and let go."""


class KafkaStorer:
    """Idempotent, acks=all. options: address and security, as `KafkaLog.options` gives them."""

    def __init__(self, options: Mapping[str, str | int | float | bool]) -> None:
        self._producer = confluent_kafka.Producer(
            {
                **options,
                **RELIABLE,
                "linger.ms": _LINGER_MS,
                "queue.buffering.max.messages": QUEUE_RECORDS_MAX,
            }
        )

    def store(self, entry: Entry, on_stored: OnStored) -> None:
        """Queue one record."""

        def delivered(error: Any, message: Any) -> None:
            if error is None:
                on_stored(Place(message.partition(), message.offset()))
            else:
                on_stored(Undelivered(1, str(error)))

        try:
            self._producer.produce(
                entry.topic,
                entry.value,
                entry.key,
                _BY_KEY if entry.partition is None else entry.partition,
                on_delivery=delivered,
                timestamp=entry.timestamp_ms,
                headers=list(entry.headers),
            )
        except BufferError as error:
            raise Unavailable("the broker", f"{QUEUE_RECORDS_MAX} records wait for it") from error
        except confluent_kafka.KafkaException as error:
            raise refusal_of(error, entry.value) from error

    def poll(self) -> None:
        """Make the callbacks that are due."""
        self._producer.poll(0)

    def pending(self) -> int:
        """Records that are queued or in flight."""
        return len(self._producer)

    def close(self, timeout_s: float) -> None:
        """Wait, then let go; librdkafka closes with the object."""
        self._producer.flush(timeout_s)


class MemoryStorer:
    """Stores in a MemoryLog; a record stands there when `store` returns, and its callback is made by `poll`."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._appender = log.appender()
        self._due: list[tuple[OnStored, Place]] = []

    def store(self, entry: Entry, on_stored: OnStored) -> None:
        """Append one record."""
        topic = entry.topic
        before = self._log.watermarks([topic])
        self._appender.append(
            topic,
            entry.value,
            key=entry.key,
            partition=entry.partition,
            headers=entry.headers,
            timestamp_ms=entry.timestamp_ms,
        )
        after = self._log.watermarks([topic])
        ((_, partition),) = (tp for tp in after if after[tp] != before[tp])
        self._due.append((on_stored, Place(partition, before[topic, partition].high)))

    def poll(self) -> None:
        """Make all callbacks."""
        due, self._due = self._due, []
        for on_stored, place in due:
            on_stored(place)

    def pending(self) -> int:
        """Records whose callback was not made."""
        return len(self._due)

    def close(self, timeout_s: float) -> None:  # noqa: ARG002  # a memory log never waits
        """Make all callbacks."""
        self.poll()
