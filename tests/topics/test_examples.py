"""Golden records: what stands on each topic, word for word. A change of these bytes is a change of the log's language."""

import json
from pathlib import Path

import pytest

from stream_processors.envelope import Envelope
from stream_processors.ingest import ingest
from stream_processors.parsers.kalshi import parse
from topics import codec
from topics.catalog import (
    ASOF_FORECAST,
    BARS_1M,
    BARS_TWS,
    BOOKS,
    BY_NAME,
    DEAD,
    GAPS,
    LABELS,
    RAW_KALSHI_WS,
    RAW_TOPICS,
    TOPICS,
)
from topics.errors import REASONS, BadRecord
from topics.events import BeatNotice, Cause, CoverageNotice, GapNotice
from topics.log import Record

EXAMPLES = Path(__file__).resolve().parents[2] / "topics" / "examples"
ROWS = {
    BARS_1M: codec.decode_bar,
    BARS_TWS: codec.decode_tws_minute,
    BOOKS: codec.decode_book_top,
    ASOF_FORECAST: codec.decode_asof_forecast,
    LABELS: codec.decode_label,
    GAPS: codec.decode_gap_row,
    DEAD: codec.decode_dead,
}
NOTICES = (codec.decode_beat_notice, codec.decode_gap_notice, codec.decode_coverage_notice)


def examples(topic):
    return (EXAMPLES / f"{topic}.jsonl").read_bytes().splitlines()


TYPED = [(topic.name, line) for topic in TOPICS if topic.group != "raw" for line in examples(topic.name)]
RAW = [(RAW_KALSHI_WS, line) for line in examples(RAW_KALSHI_WS)]
# Frames that are no line of JSON stand with their headers in one: {"headers": {...}, "value": text}.
WRAPPED = [(name, line) for name in RAW_TOPICS if name != RAW_KALSHI_WS for line in examples(name)]


def short(part):
    return part if isinstance(part, str) else part.decode()[:60]


def notice_of(line):
    """The one notice whose bytes these are, None when the line is a frame."""
    if line.startswith(b'{"type"'):
        return None
    said = []
    for decode in NOTICES:
        try:
            said.append(decode(line))
        except ValueError:
            continue
    (notice,) = [notice for notice in said if codec.encode(notice) == line]
    return notice


@pytest.mark.parametrize(("topic", "line"), TYPED, ids=short)
def test_an_example_is_what_its_codec_writes(topic, line):
    """Read and written again, each example is the same bytes: names, order, defaults, times and units."""
    decode = ROWS.get(topic, codec.decode_fact)
    assert line == codec.encode(decode(line))


@pytest.mark.parametrize(
    "topic",
    [pytest.param(topic, id=topic.name) for topic in TOPICS if topic.group != "raw"],
)
def test_every_type_of_a_topic_has_an_example_and_no_other_type_has(topic):
    """The catalogue names the types of a topic's values; the examples show each of them."""
    decode = ROWS.get(topic.name, codec.decode_fact)
    shown = {type(decode(line)).__name__ for line in examples(topic.name)}
    assert set(topic.value.split(" | ")) == shown


@pytest.mark.parametrize(("topic", "line"), RAW, ids=short)
def test_a_raw_example_is_a_frame_or_a_notice(topic, line):
    """Frames are the vendor's bytes, which the parser reads or refuses; notices are ours, to the byte."""
    assert RAW_KALSHI_WS == topic
    if notice_of(line) is None:
        try:
            parse(line, Envelope("c", 1, "observed"), Cause(topic, 0, 0))
        except BadRecord as refused:
            if refused.reason not in REASONS:
                raise


@pytest.mark.parametrize(("topic", "line"), WRAPPED, ids=short)
def test_a_wrapped_raw_example_is_read_or_refused(topic, line):
    """Whatever stands on a raw topic becomes facts or a refusal of the closed list; beats become neither."""
    example = json.loads(line)
    headers = tuple((name, text.encode()) for name, text in example["headers"].items())
    record = Record(topic, 0, 0, 0, b"k", headers, example["value"].encode())
    told = ingest(topic, 0, 1, [record])
    refused = [codec.decode_dead(output.value).reason for output in told if output.topic == DEAD]
    assert set(refused) <= REASONS
    assert {output.topic for output in told} <= {DEAD} | {name for name in BY_NAME if BY_NAME[name].group == "fact"}


def test_the_raw_examples_show_every_kind_of_record():
    """Frames of each type that states a fact, a reply, one that is refused, and the three notices."""
    notices, kinds, refused = set(), set(), 0
    for line in examples(RAW_KALSHI_WS):
        if (notice := notice_of(line)) is not None:
            notices.add(type(notice))
            continue
        try:
            kinds.add(type(parse(line, Envelope("c", 1, "observed"), Cause(RAW_KALSHI_WS, 0, 0))).__name__)
        except BadRecord:
            refused += 1
    assert {BeatNotice, GapNotice, CoverageNotice} == notices
    assert {"Trade", "Tick", "BookSnapshot", "BookDelta", "Market", "NoneType"} == kinds
    assert 1 <= refused


def test_refusals_of_every_stage_are_shown():
    """Whoever reads `dead` meets all three, with reasons of the closed list."""
    rows = [codec.decode_dead(line) for line in examples(DEAD)]
    assert {"ingest", "fold", "sink"} == {row.stage for row in rows}
    assert REASONS >= {row.reason for row in rows}


def test_bars_are_shown_open_closed_and_empty():
    """A bar while it grows, the same one closed with a higher revision, and a minute without a trade."""
    opened, closed, empty = [codec.decode_bar(line) for line in examples(BARS_1M)]
    assert (False, True, True) == (opened.closed, closed.closed, empty.closed)
    assert (opened.row_id, True) == (closed.row_id, opened.rev < closed.rev)
    assert (None, 0) == (empty.open_e6, empty.trades)


def test_a_gap_is_shown_before_and_after_its_repair():
    """The same row with its second revision."""
    rows = [codec.decode_gap_row(line) for line in examples(GAPS)]
    assert any(
        (first.row_id, first.repaired_ns, 1, 2) == (last.row_id, None, first.rev, last.rev) and last.repaired_ns
        for first in rows
        for last in rows
    )


def test_examples_stand_for_topics_of_the_catalogue_only():
    """A topic that is renamed takes its examples along."""
    assert set(BY_NAME) == {path.name.removesuffix(".jsonl") for path in EXAMPLES.iterdir()}
    assert all(path.read_bytes().endswith(b"\n") for path in EXAMPLES.iterdir())
