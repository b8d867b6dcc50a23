import zlib

import pytest

from sinks.batch import OffsetOutsideLog, Range, commit_rows, cut, missing, ranges_of, start, token, where
from topics.log import Record, Watermarks


def record(offset: int, *, topic: str = "raw.kalshi.ws", partition: int = 0, value: bytes = b"v") -> Record:
    """A record that says only where it stands."""
    return Record(topic, partition, offset, 1_000 + offset, None, (), value)


def test_a_range_is_written_half_open() -> None:
    """The text of a range is the one that tokens, logs and errors share."""
    assert str(Range("t", 3, 5, 9)) == "t-3-[5,9)"


def test_each_range_begins_where_the_last_one_ended() -> None:
    """A hole at the front of a batch (compaction) lies within its range, so the commits make a chain."""
    batch = cut([record(7), record(2, partition=1), record(9)], {("raw.kalshi.ws", 0): 5, ("raw.kalshi.ws", 1): 2})
    assert (Range("raw.kalshi.ws", 0, 5, 10), Range("raw.kalshi.ws", 1, 2, 3)) == batch.ranges


def test_a_record_below_the_position_is_our_own_bug() -> None:
    """A reader that goes back must not make a batch."""
    with pytest.raises(AssertionError, match="read again"):
        cut([record(4)], {("raw.kalshi.ws", 0): 5})


def test_a_token_names_the_table_and_the_ranges_in_any_order() -> None:
    """Equal ranges give equal tokens, another table or another repair another one."""
    a, b = Range("t", 0, 0, 5), Range("t", 1, 0, 9)
    assert token("books", [a, b]) == token("books", [b, a])
    assert "books:297dfb4155c4b9d3c25da44503880d2b418508b2" == token("books", [a, b])
    assert "books:297dfb4155c4b9d3c25da44503880d2b418508b2:r1" == token("books", [a, b], "r1")
    assert token("books", [a]) != token("books", [a, b]) != token("trades", [a, b])


def test_missing_records_are_those_whose_offsets_are_not_there() -> None:
    """Presence is by topic, partition and offset."""
    records = [record(1), record(2), record(1, partition=1)]
    assert [record(2), record(1, partition=1)] == missing(records, {("raw.kalshi.ws", 0): {1, 7}})


def test_a_repair_names_the_unbroken_runs() -> None:
    """Runs never reach over an offset that is not inserted."""
    runs = ranges_of([record(4), record(1), record(2), record(3, partition=1)])
    assert [
        Range("raw.kalshi.ws", 0, 1, 3),
        Range("raw.kalshi.ws", 0, 4, 5),
        Range("raw.kalshi.ws", 1, 3, 4),
    ] == runs


def test_the_start_is_the_commit_or_the_low_watermark() -> None:
    """Positions may lie anywhere on the log, both ends included."""
    marks = {("t", 0): Watermarks(3, 9), ("t", 1): Watermarks(3, 9), ("t", 2): Watermarks(3, 9)}
    assert {("t", 0): 3, ("t", 1): 9, ("t", 2): 3} == start({("t", 1): 9, ("t", 2): 3}, marks)


@pytest.mark.parametrize(
    ("position", "reason"), [(2, "offset_below_low_watermark"), (10, "offset_above_high_watermark")]
)
def test_a_position_outside_the_log_stops_with_a_named_error(position: int, reason: str) -> None:
    """No offset is ever reset: the operator decides."""
    with pytest.raises(OffsetOutsideLog, match=rf"{reason}: t-0: expected a position within \[3, 9\], was {position}"):
        start({("t", 0): position}, {("t", 0): Watermarks(3, 9)})


def test_commit_rows_carry_the_tail_of_each_range() -> None:
    """The fingerprint is of the last record of the partition, the count of what was really read."""
    batch = cut([record(5), record(8, value=b"last")], {("raw.kalshi.ws", 0): 5})
    rows = commit_rows(batch, sink="main", cluster="c", topic_ids={"raw.kalshi.ws": "id"}, at_ns=42)
    row = rows.drop_columns(["tail_at", "at"]).to_pylist()[0]
    assert {
        "sink": "main",
        "cluster": "c",
        "topic": "raw.kalshi.ws",
        "topic_id": "id",
        "partition": 0,
        "first": 5,
        "next": 9,
        "rows": 2,
        "tail_crc32": zlib.crc32(b"last"),
    } == row
    assert [1_008_000_000] == rows["tail_at"].cast("int64").to_pylist()
    assert [42] == rows["at"].cast("int64").to_pylist()


def test_a_condition_quotes_topic_names() -> None:
    """No topic name can end the literal that holds it."""
    expected = "(t = 'a\\'b\\\\' AND p = 1 AND o >= 2 AND o < 3)"
    assert expected == where([Range("a'b\\", 1, 2, 3)], "t", "p", "o")
