"""What a writer compares before it writes, and what an operator may answer."""

import threading
from pathlib import Path
from typing import Any

import pytest
from changed_log import ChangedLog
from sink_rig import NOW_NS, RAW, Journal, Running, bronze, chain, fill, killed_at, writer

from sinks.assignment import Gap, PartitionStopped, gap_to_accept
from sinks.audit import contiguity
from sinks.delivery import Delivery
from sinks.ledger import Ledger
from sinks.tables import Tables
from topics.errors import Refused, Unavailable
from topics.log import TopicPartition, Watermarks

SQL = Path(__file__).parents[2] / "clickhouse"


@pytest.fixture
def log(tables: Tables) -> ChangedLog:
    """Two records of two partitions, which a sink has written."""
    memory = ChangedLog()
    memory.create({RAW: {}}, 2)
    fill(memory, 4)
    with Running(writer(memory, tables, topics=[RAW])) as running:
        running.drained()
    return memory


def stopped(log: ChangedLog, tables: Tables) -> PartitionStopped:
    """The error that ends a writer at its start."""
    with pytest.raises(PartitionStopped) as caught:
        writer(log, tables, topics=[RAW]).run(threading.Event())
    return caught.value


def _another_cluster(log: ChangedLog) -> None:
    log.cluster = "c2"


def _topic_made_anew(log: ChangedLog) -> None:
    log.topic_id = "id2"


def _retention(log: ChangedLog) -> None:
    fill(log, 8, 4)
    log.low = 4


def _truncated(log: ChangedLog) -> None:
    for partition in log._partitions[RAW]:
        partition.pop()


def _cut_and_grown(log: ChangedLog) -> None:
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
    tables: Tables, log: ChangedLog, change: Any, reason: str
) -> None:
    """The error is named, and not a row is written."""
    change(log)
    assert reason == stopped(log, tables).reason
    assert (4, 4) == bronze(tables)


def test_a_topic_that_is_made_anew_under_a_live_writer_is_stopped(tables: Tables, log: ChangedLog, make: Any) -> None:
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
    tables: Tables, log: ChangedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every few seconds; without a topic left the writer ends by name."""
    monkeypatch.setattr("sinks.writer._STRANGERS_S", 0.3)
    stop = threading.Event()
    threading.Timer(1.0, log.strange.add, [RAW]).start()
    threading.Timer(20.0, stop.set).start()
    with pytest.raises(PartitionStopped, match=r"^topic_id_mismatch: .* was id2"):
        writer(log, tables, topics=[RAW]).run(stop)


def grow(log: ChangedLog, count: int) -> None:
    """Give the topic another partition, with records."""
    log._partitions[RAW].append([])
    for _ in range(count):
        log.appender().append(RAW, b"new", partition=len(log._partitions[RAW]) - 1)


@pytest.mark.parametrize("busy", [True, False])
def test_a_partition_that_comes_under_a_live_writer_is_read_from_its_beginning(
    tables: Tables, log: ChangedLog, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    """With the next batch, or within seconds where nothing else comes; no other record is written twice."""
    monkeypatch.setattr("sinks.writer._STRANGERS_S", 0.3)
    journal = Journal()
    with Running(writer(log, tables, journal, topics=[RAW])) as running:
        running.drained()
        grow(log, 3)
        if busy:
            fill(log, 4, 4)
        running.until(lambda: running.sink.positions().get((RAW, 2)) == 3)
        running.drained()
    assert ["sink_partitions_came"] == journal.events
    assert [(0, 3, 3)] == chain(tables)[2]
    assert ((11, 11) if busy else (7, 7)) == bronze(tables)
    assert () == contiguity(log, tables, SQL, now_sql="2026-08-07 00:00:00", full=True).findings


def test_a_partition_that_does_not_answer_yet_is_asked_again(
    tables: Tables, log: ChangedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have no leader for a moment: that ends no sink."""
    monkeypatch.setattr("sinks.writer._STRANGERS_S", 0.3)
    real, left, journal = ChangedLog.watermarks, [0], Journal()

    def watermarks(self: ChangedLog, topics: Any) -> dict[TopicPartition, Watermarks]:
        left[0] -= 1
        if left[0] >= 0:
            raise Unavailable("the broker", "no leader")
        return real(self, topics)

    monkeypatch.setattr(ChangedLog, "watermarks", watermarks)
    with Running(writer(log, tables, journal, topics=[RAW])) as running:
        running.drained()
        left[0] = 2
        grow(log, 3)
        running.until(lambda: running.sink.positions().get((RAW, 2)) == 3)
    assert ["sink_partitions_came", "sink_log_down", "sink_log_down"] == journal.events


def test_a_partition_that_comes_with_a_topic_made_anew_is_stopped_like_the_others(
    tables: Tables, log: ChangedLog
) -> None:
    """It has no commit of its own to be compared with; those of the others say which topic it belongs to."""
    log.topic_id = "id2"
    grow(log, 3)
    assert "topic_id_mismatch" == stopped(log, tables).reason
    assert (4, 4) == bronze(tables)


def test_a_log_that_does_not_say_its_ids_is_waited_for_and_told(
    tables: Tables, log: ChangedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a batch is written before the ids are known, and the wait is no silence."""
    monkeypatch.setattr("sinks.writer.RETRY_MAX_S", 0.05)
    real, journal, left = Delivery.strangers, Journal(), [3]

    def strangers(delivery: Delivery, *given: Any) -> list[PartitionStopped]:
        left[0] -= 1
        if left[0] >= 0:
            raise Unavailable("the log", "no answer")
        return real(delivery, *given)

    monkeypatch.setattr(Delivery, "strangers", strangers)
    fill(log, 8, 4)
    with Running(writer(log, tables, journal, topics=[RAW])) as running:
        running.drained()
    assert 3 == journal.events.count("sink_log_down")


def test_the_partitions_that_fit_go_on(tables: Tables, log: ChangedLog) -> None:
    """One is stopped and said so; the other one is written."""
    del log._partitions[RAW][0][1:]
    fill(log, 6, 101)
    log._partitions[RAW][0][1:] = []
    journal = Journal()
    with Running(writer(log, tables, journal, topics=[RAW])) as running:
        running.until(lambda: running.sink.positions().get((RAW, 1)) == 5)
    assert "sink_partition_stopped" in journal.events
    assert [2, 5] == [commits[-1][1] for commits in chain(tables)]


def test_an_accepted_gap_is_a_row_and_the_sink_goes_on(tables: Tables, log: ChangedLog) -> None:
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


def test_an_intent_that_retention_passed_is_given_up_with_its_partition(tables: Tables, log: ChangedLog) -> None:
    """A round was begun, its records of one partition are gone: the other one's are finished, the rest is a gap."""
    fill(log, 4, 4)
    killed_at("sink.after_intent", log, tables, topics=[RAW])
    ledger = Ledger(tables, sink="main", now_ns=lambda: NOW_NS)
    ledger.accept_gap(Gap(RAW, "id1", 0, 2, 3, "offset_below_low_watermark", ""))
    with Running(writer(log, tables, topics=[RAW])) as running:
        running.drained()
    assert [[(0, 2, 2), (3, 4, 1)], [(0, 2, 2), (2, 4, 2)]] == chain(tables)
    assert () == contiguity(log, tables, SQL, now_sql="2026-08-07 00:00:00", full=True).findings
