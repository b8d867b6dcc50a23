"""What a replay reads of a tape and when: every record of a cut, none beside it, each partition in order, at its pace."""

import time

import pytest
import tape

from stream_processors.replay import Part
from tapefold.replay import pace
from tapefold.replay.pace import Leg
from topics.catalog import FACT_TRADE, RAW_KALSHI_WS
from topics.log import MemoryLog, MemoryReader
from topics.units import NS_PER_S


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
        pace.stretches(log, Leg(cut, speed))
    )


def test_the_last_read_asks_for_no_more_than_is_to_come(log, monkeypatch):
    """One that asks for more waits all of its time for it, at the end of each cut."""
    asked = []
    plain = MemoryReader.read_stretches

    def counted(reader, records_max, timeout_s, **options):
        asked.append(records_max)
        return plain(reader, records_max, timeout_s, **options)

    monkeypatch.setattr(MemoryReader, "read_stretches", counted)
    monkeypatch.setattr(pace, "READ_RECORDS_MAX", 40)
    whole = pace.cut_to_end(log, [RAW_KALSHI_WS])
    total = sum(end for _, end in whole.values())
    list(pace.stretches(log, Leg(whole)))
    assert [40] * (total // 40) + [total % 40] == asked
    asked.clear()
    list(pace.stretches(log, Leg(dict.fromkeys(whole, (0, 3)))))
    assert {3 * len(whole), 40} == set(asked)  # the log goes on, so that no read waits


def test_an_empty_cut_reads_nothing(log):
    """Nothing is waited for."""
    assert {} == places(pace.stretches(log, Leg({(RAW_KALSHI_WS, 0): (7, 7)})))


def test_at_a_pace_partitions_keep_step(log):
    """The tape moves as a whole: no partition is through before the other has begun."""
    cut = pace.cut_to_end(log, [RAW_KALSHI_WS])
    came = [(stretch.partition, stretch.next_offset) for stretch in pace.stretches(log, Leg(cut, 60.0))]
    through = [came.index((number, end)) for (_, number), (_, end) in cut.items()]
    begun = [[partition for partition, _ in came].index(number) for _, number in cut]
    assert max(begun) < min(through)


def stamps(stretches):
    """When the tape reached each of these records."""
    return [pace.stamp_ns(stretch.record(place)) for stretch in stretches for place in range(len(stretch.offsets))]


def test_no_record_comes_before_its_time(log):
    """At 60 times its own time a minute takes a second, and each record waits until the tape has reached it."""
    cut = pace.cut_to_end(log, [RAW_KALSHI_WS])
    begun_s, begin_ns = time.monotonic(), None
    for stretch in pace.stretches(log, Leg(cut, 60.0)):
        passed_ns = (time.monotonic() - begun_s) * 60.0 * NS_PER_S
        for stamp in stamps([stretch]):
            begin_ns = stamp if begin_ns is None else begin_ns
            assert stamp <= begin_ns + passed_ns
    assert passed_ns > 50 * NS_PER_S


def test_a_window_is_played_at_its_pace_and_the_rest_as_fast_as_can_be(log):
    """Three legs that join on: before the window, within it, and behind it where rows are to be compared."""
    whole = pace.cut_to_end(log, [RAW_KALSHI_WS])
    window = (tape.START_NS + 20 * NS_PER_S, tape.START_NS + 40 * NS_PER_S)
    before, within, behind = pace.legs_of(log, whole, window, 5.0, to_end=True)
    assert (None, 5.0, None) == (before.speed, within.speed, behind.speed)
    assert window[0] == within.begin_ns
    assert whole == {place: (before.cut[place][0], behind.cut[place][1]) for place in whole}
    for place in whole:
        assert (before.cut[place][1], within.cut[place][1]) == (within.cut[place][0], behind.cut[place][0])
    assert max(stamps(pace.stretches(log, before))) < window[0]
    told = stamps(pace.stretches(log, Leg(within.cut)))
    assert window[0] <= min(told) <= max(told) < window[1]
    assert [before, within] == pace.legs_of(log, whole, window, 5.0, to_end=False)
    assert [Leg(whole)] == pace.legs_of(log, whole, (None, None), None, to_end=True)


def test_the_time_of_a_fact_is_when_it_was_known(log):
    """The log's stamp of a fact says when an agent wrote it: a window of facts goes by what the facts themselves say."""
    cut = pace.cut_to_end(log, [RAW_KALSHI_WS])
    part = Part(range(2), 2)
    facts = MemoryLog()
    facts.create({FACT_TRADE: {}}, 2)
    appender = facts.appender()
    records = [record for stretch in pace.stretches(log, Leg(cut)) for record in stretch.records()]
    for raw in sorted(records, key=pace.stamp_ns):
        for record in part.raw(RAW_KALSHI_WS, raw.partition, [raw]):
            if record.topic == FACT_TRADE:
                appender.append(FACT_TRADE, record.value, partition=record.partition)
    whole = pace.cut_to_end(facts, [FACT_TRADE])
    time_ns = tape.START_NS + 30 * NS_PER_S
    before, behind = pace.legs_of(facts, whole, (None, time_ns), None, to_end=True)
    assert max(stamps(pace.stretches(facts, before))) < time_ns
    assert min(stamps(pace.stretches(facts, behind))) >= time_ns
