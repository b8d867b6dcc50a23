"""What a writer compares before it writes, and what an operator may answer."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sink_rig import NOW_NS, RAW, Journal, Running, bronze, chain, fill, killed_at, writer

from sinks.assignment import Gap, PartitionStopped, gap_to_accept
from sinks.audit import contiguity
from sinks.delivery import Delivery
from sinks.ledger import Ledger
from sinks.tables import Tables
from topics.errors import Refused, Unavailable
from topics.log import Identity, MemoryLog, TopicPartition, Watermarks

SQL = Path(__file__).parents[2] / "clickhouse"


class Changed(MemoryLog):
    """A log that is another one now, or no longer holds all offsets."""

    cluster = "c1"
    topic_id = "id1"
    low = 0

    def __init__(self) -> None:
        super().__init__()
        self.strange: set[str] = set()  # made anew

    def identity(self, topics: Any) -> Identity:
        """The ids that the test sets."""
        return Identity(self.cluster, {each: "id2" if each in self.strange else self.topic_id for each in topics})

    def watermarks(self, topics: Any) -> dict[tuple[str, int], Watermarks]:
        """From the low watermark that the test sets."""
        return {key: Watermarks(self.low, mark.high) for key, mark in super().watermarks(topics).items()}


@pytest.fixture
def log(tables: Tables) -> Changed:
    """Two records of two partitions, which a sink has written."""
    memory = Changed()
    memory.create({RAW: {}}, 2)
    fill(memory, 4)
    with Running(writer(memory, tables, topics=[RAW])) as running:
        running.drained()
    return memory


def stopped(log: Changed, tables: Tables) -> PartitionStopped:
    """The error that ends a writer at its start."""
    with pytest.raises(PartitionStopped) as caught:
        writer(log, tables, topics=[RAW]).run(threading.Event())
    return caught.value


def _another_cluster(log: Changed) -> None:
    log.cluster = "c2"


def _topic_made_anew(log: Changed) -> None:
    log.topic_id = "id2"


def _retention(log: Changed) -> None:
    fill(log, 8, 4)
    log.low = 4


def _truncated(log: Changed) -> None:
    for partition in log._partitions[RAW]:
        partition.pop()


def _cut_and_grown(log: Changed) -> None:
    _truncated(log)
    fill(log, 8, 100)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_another_cluster, "cluster_id_mismatch"),
        (_topic_made_anew, "topic_id_mismatch"),
        (_retention, "offset_below_low_watermark"),
        (_truncated, "offset_above_high_watermark"),
        (_cut_and_grown, "tail_fingerprint_mismatch"),
    ],
)
def test_a_log_that_is_not_the_one_of_the_commits_stops_the_writer(
    tables: Tables, log: Changed, change: Any, reason: str
) -> None:
    """The error is named, and not a row is written."""
    change(log)
    assert reason == stopped(log, tables).reason
    assert (4, 4) == bronze(tables)


def test_a_topic_that_is_made_anew_under_a_live_writer_is_stopped(tables: Tables, log: Changed, make: Any) -> None:
    """With the next batch, before a record of it is written, though its offsets follow on; other topics go on."""
    trades = "fact.trade"
    log.create({trades: {}}, 1)
    journal = Journal()
    with Running(writer(log, tables, journal, topics=[RAW, trades])) as running:
        running.until(lambda: running.sink.positions().get((trades, 0)) == 0)
        log.strange.add(RAW)
        fill(log, 6, 100)
        log.appender().append(trades, make.record(trades, make.trade()).value, partition=0)
        running.until(lambda: running.sink.positions().get((trades, 0)) == 1)
    assert ["sink_partition_stopped"] * 2 == [each for each in journal.events if "stopped" in each]
    assert (4, 4) == bronze(tables)
    assert "topic_id_mismatch" == stopped(log, tables).reason


def test_a_topic_that_is_gone_or_anew_is_seen_while_nothing_comes(
    tables: Tables, log: Changed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every few seconds; without a topic left the writer ends by name."""
    monkeypatch.setattr("sinks.writer._STRANGERS_S", 0.3)
    stop = threading.Event()
    threading.Timer(1.0, log.strange.add, [RAW]).start()
    threading.Timer(20.0, stop.set).start()
    with pytest.raises(PartitionStopped, match=r"^topic_id_mismatch: .* was id2"):
        writer(log, tables, topics=[RAW]).run(stop)


def test_a_log_that_does_not_say_its_ids_is_waited_for_and_told(
    tables: Tables, log: Changed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a batch is written before the ids are known, and the wait is no silence."""
    monkeypatch.setattr("sinks.writer.RETRY_MAX_S", 0.05)
    real, journal, left = Delivery.strangers, Journal(), [3]

    def strangers(delivery: Delivery, positions: dict[TopicPartition, int]) -> list[PartitionStopped]:
        left[0] -= 1
        if left[0] >= 0:
            raise Unavailable("the log", "no answer")
        return real(delivery, positions)

    monkeypatch.setattr(Delivery, "strangers", strangers)
    fill(log, 8, 4)
    with Running(writer(log, tables, journal, topics=[RAW])) as running:
        running.drained()
    assert 3 == journal.events.count("sink_log_down")


def test_the_partitions_that_fit_go_on(tables: Tables, log: Changed) -> None:
    """One is stopped and said so; the other one is written."""
    del log._partitions[RAW][0][1:]
    fill(log, 6, 101)
    log._partitions[RAW][0][1:] = []
    journal = Journal()
    with Running(writer(log, tables, journal, topics=[RAW])) as running:
        running.until(lambda: running.sink.positions().get((RAW, 1)) == 5)
    assert "sink_partition_stopped" in journal.events
    assert [2, 5] == [commits[-1][1] for commits in chain(tables)]


def test_an_accepted_gap_is_a_row_and_the_sink_goes_on(tables: Tables, log: Changed) -> None:
    """The chain may skip what the row names, and nothing else; without a loss there is nothing to accept."""
    fill(log, 8, 4)
    ledger = Ledger(tables, sink="main", now_ns=lambda: NOW_NS)
    identity, partition = log.identity([RAW]), (RAW, 0)
    with pytest.raises(Refused, match="nothing to accept"):
        gap_to_accept(partition, ledger.committed()[partition], identity, log.watermarks([RAW])[partition], "n")
    log.low = 4
    for number in (0, 1):
        key = (RAW, number)
        gap = gap_to_accept(key, ledger.committed()[key], identity, log.watermarks([RAW])[key], "disk was full")
        assert (2, 4, "offset_below_low_watermark", "disk was full") == (gap.first, gap.next, *gap[5:])
        ledger.accept_gap(gap)
        ledger.accept_gap(gap)
    with Running(writer(log, tables, topics=[RAW])) as running:
        running.drained()
    assert [[(0, 2, 2), (4, 6, 2)]] * 2 == chain(tables)
    assert 2 == tables.query_rows("SELECT count() FROM tapefold.sink_gaps FINAL").rows[0][0]
    assert () == contiguity(log, tables, SQL, now_sql="2026-08-07 00:00:00", full=True).findings


def test_an_intent_that_retention_passed_is_given_up_with_its_partition(tables: Tables, log: Changed) -> None:
    """A round was begun, its records of one partition are gone: the other one's are finished, the rest is a gap."""
    fill(log, 4, 4)
    killed_at("sink.after_intent", log, tables, topics=[RAW])
    ledger = Ledger(tables, sink="main", now_ns=lambda: NOW_NS)
    ledger.accept_gap(Gap(RAW, "id1", 0, 2, 3, "offset_below_low_watermark", ""))
    with Running(writer(log, tables, topics=[RAW])) as running:
        running.drained()
    assert [[(0, 2, 2), (3, 4, 1)], [(0, 2, 2), (2, 4, 2)]] == chain(tables)
    assert () == contiguity(log, tables, SQL, now_sql="2026-08-07 00:00:00", full=True).findings
