"""What a round is: shares of partitions, the tokens made of them, its rows in the store, conditions on ranges. Pure."""

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sinks import columns
from topics.log import Identity, TopicPartition

INTENTS = "sink_intents"
COMMITS = "sink_commits"


class Share(NamedTuple):
    """The offsets [first, next) of one partition. rows: records in it; checksum: of what they hold, by `checksum`."""

    topic: str
    partition: int
    first: int
    next: int
    rows: int
    checksum: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-[{self.first},{self.next})"


class Round(NamedTuple):
    """A proposal or its commit: `shares` under the number of a round, by a writer, at its attempt."""

    number: int
    attempt: int
    owner: str
    code: int
    shares: tuple[Share, ...]


class Tail(NamedTuple):
    """The last record of a share, by which a later start knows the log again."""

    timestamp_ms: int
    crc32: int


def tail_of(timestamp_ms: int, key: bytes | None, value: bytes) -> Tail:
    """The tail that ends with this record."""
    return Tail(timestamp_ms, zlib.crc32(value, zlib.crc32(key or b"")))


def restricted(shares: Iterable[Share], positions: Mapping[TopicPartition, int]) -> tuple[Share, ...]:
    """The shares that begin where their partition stands; the others are stopped, or were passed by an accepted gap."""
    return tuple(each for each in shares if positions.get((each.topic, each.partition)) == each.first)


def token(round_name: str, what: str, shares: Iterable[Share], attempt: int) -> str:
    """An insert token: equal for equal inserts, whoever makes them. `attempt` tells a repair from what it repairs."""
    digest = hashlib.sha1("\n".join(map(str, sorted(shares))).encode(), usedforsecurity=False).hexdigest()
    return f"{round_name}:{what}:{digest}:{attempt}"


def intent_rows(round_: Round, *, sink: str, identity: Identity, at_ns: int) -> pa.Table:
    """One row of `sink_intents` per share."""
    return pa.table(_rows(round_, sink=sink, identity=identity, at_ns=at_ns))


def commit_rows(
    round_: Round,
    tails: Mapping[TopicPartition, Tail],
    written: Sequence[str],
    *,
    sink: str,
    identity: Identity,
    at_ns: int,
) -> pa.Table:
    """One row of `sink_commits` per share. written: the generations that hold its rows."""
    last = [tails[each.topic, each.partition] for each in round_.shares]
    made = _rows(round_, sink=sink, identity=identity, at_ns=at_ns)
    made["tail_at"] = columns.time_ms_clipped([tail.timestamp_ms for tail in last])
    made["generations"] = columns.texts([list(written)] * len(last))
    made["tail_crc32"] = columns.uint32([tail.crc32 for tail in last])
    return pa.table(made)


def _rows(round_: Round, *, sink: str, identity: Identity, at_ns: int) -> dict[str, pa.Array]:
    shares = round_.shares
    count = len(shares)
    return {
        "sink": columns.labels([sink] * count),
        "round": columns.uint64([round_.number] * count),
        "attempt": columns.uint32([round_.attempt] * count),
        "owner": columns.labels([round_.owner] * count),
        "code": columns.uint32([round_.code] * count),
        "cluster": columns.labels([identity.cluster] * count),
        "topic": columns.labels([each.topic for each in shares]),
        "topic_id": columns.labels([identity.topic_ids[each.topic] for each in shares]),
        "partition": columns.uint32([each.partition for each in shares]),
        "first": columns.uint64([each.first for each in shares]),
        "next": columns.uint64([each.next for each in shares]),
        "rows": columns.uint64([each.rows for each in shares]),
        "checksum": pa.array(np.array([each.checksum for each in shares], np.uint64)),
        "at": columns.time_ns([at_ns] * count),
    }


def where(ranges: Sequence[tuple[str, int, int, int]], topic: str, partition: str, offset: str) -> str:
    """A condition on these columns that holds within the ranges (topic, partition, first, next).

    In the form that the primary key can use, and that bounds what is read even where there are many.
    """
    return " OR ".join(
        f"({topic} = {_quoted(name)} AND {partition} = {number} AND {offset} >= {first} AND {offset} < {end})"
        for name, number, first, end in ranges
    )


def _quoted(text: str) -> str:
    """A string literal of ClickHouse's SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
