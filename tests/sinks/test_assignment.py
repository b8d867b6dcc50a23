import pytest

from sinks.assignment import Committed, PartitionStopped, check_tail, has_tail, position_of
from sinks.batch import Tail, tail_of
from topics.log import Identity, Record, Watermarks

PART = ("raw.kalshi.ws", 2)
IDENTITY = Identity("c1", {"raw.kalshi.ws": "id1"})
MARKS = Watermarks(3, 9)
RECORD = Record("raw.kalshi.ws", 2, 6, 1_000, b"k", (), b"v")
COMMITTED = Committed("c1", "id1", 7, tail_of(1_000, b"k", b"v"))


def test_the_start_is_the_commit_or_the_low_watermark() -> None:
    """Positions may lie anywhere on the log, both ends included."""
    assert 3 == position_of(PART, None, IDENTITY, MARKS)
    for at in (3, 7, 9):
        assert at == position_of(PART, COMMITTED._replace(next=at), IDENTITY, MARKS)


def test_commits_that_told_no_ids_are_taken() -> None:
    """Rows of before had none."""
    assert 7 == position_of(PART, COMMITTED._replace(cluster="", topic_id=""), IDENTITY, MARKS)


@pytest.mark.parametrize(
    ("committed", "reason", "words", "command"),
    [
        (COMMITTED._replace(cluster="c0"), "cluster_id_mismatch", "expected c0, was c1", "KAFKA_BOOTSTRAP"),
        (COMMITTED._replace(topic_id="id0"), "topic_id_mismatch", "expected id0, was id1", "CLICKHOUSE_URL"),
        (
            COMMITTED._replace(next=2),
            "offset_below_low_watermark",
            r"expected a position within \[3, 9\], was 2",
            "tapefold sink accept-gap raw.kalshi.ws 2",
        ),
        (
            COMMITTED._replace(next=10),
            "offset_above_high_watermark",
            r"expected a position within \[3, 9\], was 10",
            "tapefold audit contiguity",
        ),
    ],
)
def test_a_partition_that_does_not_fit_is_stopped_by_name(
    committed: Committed, reason: str, words: str, command: str
) -> None:
    """No offset is ever reset: the operator decides, and is told how."""
    with pytest.raises(PartitionStopped, match=rf"^{reason}: raw.kalshi.ws-2 at \d+: {words}; .*{command}"):
        position_of(PART, committed, IDENTITY, MARKS)


def test_the_record_before_the_position_must_be_the_one_that_was_written() -> None:
    """A log that was cut and has grown again holds another one there."""
    check_tail(PART, COMMITTED, RECORD)
    for other in (
        RECORD._replace(value=b"w"),
        RECORD._replace(key=None),
        RECORD._replace(timestamp_ms=1_001),
        RECORD._replace(offset=7),
    ):
        with pytest.raises(
            PartitionStopped, match=r"^tail_fingerprint_mismatch: raw.kalshi.ws-2 at 7: expected offset 6"
        ):
            check_tail(PART, COMMITTED, other)


def test_a_time_beyond_what_the_store_holds_is_the_same_time() -> None:
    """Anyone may stamp a record with anything; the store keeps the last moment it knows."""
    clipped = (2**63 - 1) // 1_000_000
    committed = COMMITTED._replace(tail=Tail(clipped, tail_of(0, b"k", b"v").crc32))
    check_tail(PART, committed, RECORD._replace(timestamp_ms=2**62))


def test_a_tail_is_compared_only_where_both_sides_have_it() -> None:
    """Retention may have taken the record, an accepted gap has none."""
    assert has_tail(COMMITTED, MARKS)
    assert not has_tail(None, MARKS)
    assert not has_tail(COMMITTED._replace(next=3), MARKS)
    assert not has_tail(COMMITTED._replace(tail=None), MARKS)
