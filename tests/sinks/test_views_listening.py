"""That somebody listened, and until when, from beats alone: the same rule for every source."""

from typing import Any

import pytest
from stored import insert, read

from producers.beat import Beater
from producers.coverage import Covers
from producers.publish import Outgoing, Publisher
from sinks.tables import Tables
from stream_processors.ingest import ingest
from topics.catalog import RAW_TOPICS, RAW_WEBHOOK
from topics.log import MemoryLog, Record, all_records

NS = 1_000_000_000
T0 = 1_786_000_000
LANES = 2


class Told:
    """What one connection appends, by the producers' own publisher; times in seconds after T0."""

    def __init__(self, topic: str = RAW_WEBHOOK, source: str = "webhook", conn: str = "c") -> None:
        self.topic = topic
        self.log = MemoryLog()
        self.log.create({name: {} for name in RAW_TOPICS}, LANES)
        self.publisher = Publisher(
            self.log.appender(), topic=topic, partitions=LANES, source=source, conn=conn, clock="wall"
        )
        self.beater = Beater(source, conn, lease_ns=30 * NS)
        self.covers = Covers(source, conn, "webhook")

    def beat(self, *times: int, clock: int | None = None, bye: bool = False) -> "Told":
        """Beats said at these times; clock: what they prove, where that is earlier."""
        for at in times:
            say = self.beater.bye if bye else self.beater.beat
            proven = at if clock is None else clock
            self.publisher.put(Outgoing(say((T0 + proven) * NS, None), None, (T0 + at) * NS))
        return self

    def records(self) -> list[Record]:
        """All of them."""
        return list(all_records(self.log, [self.topic]))


def listening(tables: Tables) -> list[tuple[Any, ...]]:
    """The intervals, in seconds after T0."""
    seconds = ", ".join(f"toInt64(toUnixTimestamp({name})) - {T0}" for name in ("started_at", "proven_to"))
    return read(tables, f"source, conn, {seconds}, ended_by, beats", "listening", "1, 3, 2")


@pytest.mark.parametrize("topic", RAW_TOPICS)
def test_a_connection_of_any_source_is_an_interval(tables: Tables, topic: str) -> None:
    """From its first beat to its good-bye; to its last beat where there is none: it may go on."""
    source = topic.removeprefix("raw.")
    insert(tables, Told(topic, source, "left").beat(0, 10, 20).beat(25, bye=True).records())
    insert(tables, [r._replace(offset=r.offset + 100) for r in Told(topic, source, "here").beat(22, 30).records()])
    assert [(source, "left", 0, 25, "stop", 4), (source, "here", 22, 30, None, 2)] == listening(tables)


def test_silence_for_longer_than_the_lease_parts_two_intervals(tables: Tables) -> None:
    """Held, or without its log: nothing is proven of the time between, and the first ends where its last beat stood."""
    insert(tables, Told().beat(0, 30, 60, 91, 95).records())
    assert [("webhook", "c", 0, 60, "silence", 3), ("webhook", "c", 91, 95, None, 2)] == listening(tables)


def test_a_dead_connection_fell_silent_when_another_outlives_its_lease(tables: Tables) -> None:
    """Nobody said good-bye; a successor's word about it, which has no clock, proves nothing."""
    insert(tables, Told(conn="dead").beat(0, 10).beat(100, clock=-T0, bye=True).records())
    insert(tables, [r._replace(offset=r.offset + 100) for r in Told(conn="next").beat(38).records()])
    assert [(10, None), (38, None)] == [row[3:5] for row in listening(tables)]
    insert(tables, [r._replace(offset=r.offset + 200) for r in Told(conn="next").beat(41).records()])
    assert [(10, "silence"), (41, None)] == [row[3:5] for row in listening(tables)]


def test_a_listing_on_its_way_holds_the_proof_back_and_breaks_nothing(tables: Tables) -> None:
    """Silence goes by when beats were said, the proof by their clock."""
    insert(tables, Told().beat(0).beat(10, 20, 30, 40, clock=5).records())
    assert [("webhook", "c", 0, 5, None, 5)] == listening(tables)


def test_a_beat_that_not_all_partitions_have_proves_nothing(tables: Tables) -> None:
    """What came before it on the others may be lost."""
    records = Told().beat(0, 10).records()
    insert(tables, [record for record in records if (record.partition, record.offset) != (1, 1)])
    assert [("webhook", "c", 0, 0, None, 1)] == listening(tables)


def test_the_end_of_coverage_is_known_when_it_was_told(tables: Tables) -> None:
    """A sender was heard until 20, which came to light at 50; open intervals are proven to the last beat of any source."""
    told = Told().beat(0, 10)
    outs = told.covers.begin("pay", T0 * NS)
    outs += told.covers.end("pay", (T0 + 20) * NS, (T0 + 50) * NS, ended_by="gap")
    for out in [*outs, *told.covers.begin("pay", (T0 + 55) * NS)]:
        told.publisher.put(out)
    records = told.records()
    facts = [
        Record(output.topic, 0, number, 0, output.key, (), output.value)
        for number, output in enumerate(ingest(RAW_WEBHOOK, 0, 1, records))
    ]
    insert(tables, [*records, *facts])
    columns = "source, channel, market_ticker, toUnixTimestamp(started_at), toUnixTimestamp(ended_at), ended_by"
    both = [("webhook", "webhook", "pay", T0, T0 + 20, "gap"), ("webhook", "webhook", "pay", T0 + 55, None, None)]
    assert both == read(tables, columns, "coverage", "started_at")
    assert [(T0 + 10,)] == read(tables, "DISTINCT toUnixTimestamp(last_beat_at)", "coverage")
    open_then = [(*both[0][:4], None, None)]
    assert open_then == read(
        tables, columns, f"coverage_known(t = fromUnixTimestamp64Milli({(T0 + 40) * 1000}, 'UTC'))"
    )
    assert both == read(
        tables, columns, f"coverage_known(t = fromUnixTimestamp64Milli({(T0 + 60) * 1000}, 'UTC'))", "started_at"
    )
