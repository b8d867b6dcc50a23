"""Markers: a cache of the log that proves itself."""

import random

import pytest

from producers.webhook.markers import FILE, Marker, Markers, look_up, marker_of
from topics.catalog import RAW_WEBHOOK
from topics.log import MemoryLog, Record

NS = 1_000_000_000


@pytest.fixture
def log():
    """An empty one of two partitions."""
    memory = MemoryLog()
    memory.create({RAW_WEBHOOK: {}}, 2)
    return memory


def append(log, event_id, at_s, content="00" * 16, **more):
    headers = {"received_ns": at_s * NS, "provider": "p", "webhook_id": event_id, "content": content} | more
    log.appender().append(
        RAW_WEBHOOK,
        b"{}",
        key=f"p/{event_id}".encode(),
        headers=[(name, str(value).encode()) for name, value in headers.items() if value is not None],
        timestamp_ms=at_s * 1000,
    )


def ids(markers, names):
    return {name for name in names if markers.find("p", name)}


def test_a_new_cache_holds_the_horizon(log, tmp_path):
    """Records before it are not read; those of exactly its time are."""
    for number in range(10):
        append(log, f"e{number}", 100 + number)
    markers = Markers(tmp_path)
    markers.catch_up(log, 105 * NS)
    names = [f"e{number}" for number in range(10)]
    assert {"e5", "e6", "e7", "e8", "e9"} <= ids(markers, names)
    assert "e0" not in ids(markers, names)


def test_a_cache_reads_on_where_it_stands(log, tmp_path):
    """Only what is new, and the latest record of each partition as a proof."""
    for number in range(100):
        append(log, f"e{number}", 100)
    markers = Markers(tmp_path)
    assert 100 == markers.catch_up(log, 0)
    markers.close()
    append(log, "new", 101)
    markers = Markers(tmp_path)
    assert 3 == markers.catch_up(log, 0)
    assert [Marker("p", "new", bytes(16), 101 * NS, *markers.find("p", "new")[0][4:])] == markers.find("p", "new")


def test_what_was_added_and_not_written_is_read_again(log, tmp_path):
    """A kill loses the cache's last second, not a marker."""
    append(log, "a", 100)
    first = Markers(tmp_path)
    first.catch_up(log, 0)
    append(log, "b", 101)
    append(log, "c", 101)
    first.add(Marker("p", "b", bytes(16), 101 * NS, 0, 50))
    second = Markers(tmp_path)  # the first one never wrote; its process is gone
    first._db.rollback()
    second.catch_up(log, 0)
    assert {"a", "b", "c"} == ids(second, "abc")


@pytest.mark.parametrize("spoil", ["emptied", "other records", "shorter"])
def test_another_log_under_the_same_cache_is_noticed(log, tmp_path, spoil):
    """A marker of an event that the log does not hold would swallow it."""
    for number in range(20):
        append(log, f"old{number}", 100)
    markers = Markers(tmp_path)
    markers.catch_up(log, 0)
    other = MemoryLog()
    other.create({RAW_WEBHOOK: {}}, 2)
    for number in range({"emptied": 0, "other records": 40, "shorter": 2}[spoil]):
        append(other, f"new{number}", 100)
    markers.catch_up(other, 0)
    assert set() == ids(markers, [f"old{number}" for number in range(20)])
    if spoil == "other records":
        assert 40 == len(ids(markers, [f"new{number}" for number in range(40)]))


def test_a_damaged_cache_is_built_anew(log, tmp_path):
    """The log has it all."""
    append(log, "a", 100)
    markers = Markers(tmp_path)
    markers.catch_up(log, 0)
    markers.close()
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    markers = Markers(tmp_path)
    markers.catch_up(log, 0)
    assert {"a"} == ids(markers, "a")


def test_what_is_older_than_the_horizon_is_forgotten(log, tmp_path):
    """And only that."""
    append(log, "a", 100)
    append(log, "b", 200)
    markers = Markers(tmp_path)
    markers.catch_up(log, 0)
    markers.commit(200 * NS)
    assert {"b"} == ids(markers, "ab")


def test_two_contents_of_one_id_are_both_kept(log, tmp_path):
    """Oldest first; the same content a second time changes nothing."""
    append(log, "a", 100, "00" * 16)
    append(log, "a", 101, "01" * 16)
    append(log, "a", 102, "00" * 16)
    markers = Markers(tmp_path)
    markers.catch_up(log, 0)
    assert [(bytes(16), 0), (b"\1" * 16, 1)] == [(m.content, m.offset) for m in markers.find("p", "a")]


def test_a_marker_can_be_looked_up_beside_a_running_receiver(log, tmp_path):
    """What was committed; None where there was never a receiver."""
    assert look_up(tmp_path, "a") is None
    append(log, "a", 100)
    markers = Markers(tmp_path)
    markers.catch_up(log, 0)
    assert ["a"] == [marker.event_id for marker in look_up(tmp_path, "a")]
    assert [] == look_up(tmp_path, "b")


@pytest.mark.parametrize(
    "spoilt",
    [
        {"provider": None},
        {"webhook_id": None},
        {"content": None},
        {"content": "zz"},
        {"content": "00"},
        {"received_ns": "soon"},
    ],
    ids=str,
)
def test_a_foreign_record_is_no_marker(log, tmp_path, spoilt):
    """It is read past, and stands in nobody's way."""
    append(log, "a", 100, **spoilt)
    append(log, "b", 100)
    markers = Markers(tmp_path)
    assert 2 == markers.catch_up(log, 0)
    assert {"b"} == ids(markers, "ab")


def test_text_that_is_none_is_no_marker():
    """Bytes of a foreign writer."""
    headers = (("received_ns", b"1"), ("provider", b"\xff"), ("webhook_id", b"a"), ("content", b"00" * 16))
    assert marker_of(Record(RAW_WEBHOOK, 0, 0, 0, None, headers, b"")) is None


@pytest.mark.parametrize("seed", range(20))
def test_however_often_it_is_killed_the_cache_ends_with_the_log(log, tmp_path, seed):
    """Appends, commits, kills in any order: after the last catching up every event is marked."""
    rng = random.Random(seed)
    count = 0
    markers = Markers(tmp_path)
    for _ in range(60):
        action = rng.choice(("append", "append", "append", "catch up", "commit", "kill"))
        if action == "append":
            append(log, f"e{count}", 100 + count)
            count += 1
        elif action == "catch up":
            markers.catch_up(log, 0)
        elif action == "commit":
            markers.commit(0)
        else:
            markers._db.rollback()
            markers._db.close()
            markers = Markers(tmp_path)
    markers.catch_up(log, 0)
    assert count == len(ids(markers, [f"e{number}" for number in range(count)]))
