"""How far each stage is: end offsets against commits. Used by the status screen and to drain."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from sinks.tables import Tables
from stream_processors.names import app_id
from topics.catalog import FOLD_TOPICS, RAW_TOPICS, SINK_TOPICS
from topics.kafka import KafkaLog
from topics.log import TopicPartition, Watermarks


class Lag(Struct, frozen=True):
    """Records on the log, and what each stage has still to take. written: records that raw topics hold.

    folded: records that the fold has taken. stored: records of all its topics that the sink has committed.
    """

    written: int
    ingest: int
    fold: int
    sink: int
    folded: int
    stored: int


def high(log: KafkaLog, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """End offsets."""
    return {partition: marks.high for partition, marks in log.watermarks(topics).items()}


def group_behind(log: KafkaLog, stage: str, ends: dict[TopicPartition, int]) -> int:
    """Records before `ends` that the agents of a stage have not committed."""
    return _left(ends, log.committed(app_id("ingest" if stage == "ingest" else "fold"), ends))


def sink_behind(tables: Tables, ends: dict[TopicPartition, int]) -> int:
    """Records before `ends` that the sink has no commit row for."""
    return _left(ends, _sink_committed(tables))


def _left(ends: Mapping[TopicPartition, int], committed: Mapping[TopicPartition, int]) -> int:
    return sum(max(end - committed.get(partition, 0), 0) for partition, end in ends.items())


def _sink_committed(tables: Tables) -> dict[TopicPartition, int]:
    rows = tables.query_rows("SELECT topic, partition, max(next) FROM tapefold_api.sink_positions GROUP BY ALL")
    return {(topic, partition): position for topic, partition, position in rows.rows}


def lag(log: KafkaLog, tables: Tables) -> Lag:
    """All stages at one moment."""
    marks: dict[TopicPartition, Watermarks] = log.watermarks({*RAW_TOPICS, *FOLD_TOPICS, *SINK_TOPICS})

    def ends(topics: Iterable[str]) -> dict[TopicPartition, int]:
        wanted = set(topics)
        return {partition: mark.high for partition, mark in marks.items() if partition[0] in wanted}

    raw, facts = ends(RAW_TOPICS), ends(FOLD_TOPICS)
    stored = _sink_committed(tables)
    unfolded = group_behind(log, "fold", facts)
    return Lag(
        written=sum(raw.values()),
        ingest=group_behind(log, "ingest", raw),
        fold=unfolded,
        sink=_left(ends(SINK_TOPICS), stored),
        folded=sum(facts.values()) - unfolded,
        stored=sum(stored.values()),
    )


def missing(tables: Tables) -> str:
    """What the tables lack and the store names, in one line; "" where nothing was refused and no gap is open."""
    asked = (
        ("refused", "SELECT reason, count() FROM tapefold_api.dead GROUP BY reason ORDER BY reason", "dead"),
        (
            "open gaps",
            "SELECT kind, count() FROM tapefold_api.gaps WHERE repaired_at IS NULL GROUP BY kind ORDER BY kind",
            "gaps",
        ),
    )
    told = [
        f"{what}: {', '.join(f'{count:,} {kind}' for kind, count in rows)} (each in tapefold_api.{view})"
        for what, query, view in asked
        if (rows := tables.query_rows(query).rows)
    ]
    return "; ".join(told)
