"""Recorded payloads parsed and loaded: the same facts as live, and no invented times."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tapefold.payloads import records
from tapefold.payloads.files import UnreadableFile
from tapefold.payloads.sources import SOURCES
from topics import catalog
from topics.errors import Refused
from topics.log import MemoryLog

DATA = Path(__file__).resolve().parents[2] / "data" / "kalshi-ws"
NOW_NS = 1_800_000_000 * 10**9
SNAPSHOT = '{"type":"orderbook_snapshot","sid":1,"seq":%d,"msg":{"market_ticker":"A-1"}}'
TRADE = (
    '{"type":"trade","sid":1,"seq":%d,"msg":{"trade_id":"t","market_ticker":"A-1","yes_price_dollars":"0.10",'
    '"no_price_dollars":"0.90","count_fp":"1.00","ts_ms":1776000000417}}'
)


def parsed(source, *paths, recorder=None):
    """The lines that `parse` prints, decoded, and its counts."""
    out = []
    counts = records.parse(source, SOURCES[source], paths, recorder, now_ns=lambda: NOW_NS, out=out.append)
    return [json.loads(line) for line in out], counts


def loaded(source, *paths, partitions=2):
    """The raw records that `load` appends."""
    log = MemoryLog()
    topic = SOURCES[source].topic
    log.create({topic: {}}, partitions)
    appender = log.appender()
    count = records.load(
        source, SOURCES[source], paths, None, appender=appender, partitions=partitions, now_ns=lambda: NOW_NS
    )
    found = [record for number in range(partitions) for record in log._topic(topic)[number]]
    return count, found


def test_recorded_trades_are_printed_as_the_live_parser_reads_them():
    """Ten trades of a production archive, each a line of JSON with its file, topic and key."""
    lines, counts = parsed("kalshi.ws", DATA / "ssmd-trade.jsonl")
    frames = [json.loads(line)["msg"] for line in (DATA / "ssmd-trade.jsonl").read_text().splitlines()]
    assert Counter({"payloads": 10, "fact.trade": 10}) == counts
    assert [frame["trade_id"] for frame in frames] == [line["value"]["trade_id"] for line in lines]
    assert [frame["yes_price"] * 10_000 for frame in frames] == [line["value"]["yes_price_e6"] for line in lines]


def test_a_file_without_stamps_is_assumed_at_the_time_it_has_reached():
    """Nobody stamped these frames: no trade is known before its own exchange time, and none is called observed."""
    lines, _ = parsed("kalshi.ws", DATA / "ssmd-trade.jsonl")
    assert {"assumed"} == {line["value"]["known_by"] for line in lines}
    reached = 0
    for line in lines:
        reached = max(reached, line["value"]["event_ns"])
        assert reached == line["value"]["known_ns"]


def test_a_recorders_stamp_is_observed_and_names_the_recorder(tmp_path):
    """The stamp is the recorder's, to the millisecond it wrote, and the connection names who it was."""
    file = tmp_path / "tape.ndjson"
    file.write_text('{"recv_ms": 1776000000999, "event": %s}\n' % (TRADE % 4))
    (line,), _ = parsed("kalshi.ws", file, recorder="desk-7")
    assert ("observed", 1776000000999 * 10**6) == (line["value"]["known_by"], line["value"]["known_ns"])
    assert line["value"]["conn"].startswith("desk-7:")


def test_a_payload_without_any_time_is_known_from_the_load_on(tmp_path):
    """No stamp, no exchange time: the only time that is not invented is ours."""
    file = tmp_path / "tape.ndjson"
    file.write_text(SNAPSHOT % 1)
    (line,), _ = parsed("kalshi.ws", file)
    assert ("observed", NOW_NS) == (line["value"]["known_by"], line["value"]["known_ns"])


def test_what_is_no_frame_is_refused_and_the_rest_is_read(tmp_path):
    """A broken line is a row of `dead` with a reason, as on the live path."""
    file = tmp_path / "tape.ndjson"
    file.write_text(f"{TRADE % 1}\nnot json\n\n{TRADE % 2}\n")
    lines, counts = parsed("kalshi.ws", file)
    assert Counter({"payloads": 3, "fact.trade": 2, "dead": 1}) == counts
    assert ["not_json"] == [line["value"]["reason"] for line in lines if line["topic"] == "dead"]


def test_numbers_that_fall_are_another_connection(tmp_path):
    """A recorder that reconnected into the same file: books of two sessions are never one."""
    file = tmp_path / "tape.ndjson"
    file.write_text("\n".join([TRADE % 7, SNAPSHOT % 8, SNAPSHOT % 2]))
    lines, _ = parsed("kalshi.ws", file)
    first, second, third = (line["value"]["conn"] for line in lines)
    assert (first, f"{first}-1") == (second, third)


def test_loading_appends_the_bytes_as_recorded_and_says_good_bye():
    """Every frame, keyed by market, then a last beat of the recording on each partition."""
    count, found = loaded("kalshi.ws", DATA / "ssmd-trade.jsonl")
    frames = [record for record in found if (catalog.H_KIND, b"frame") in record.headers]
    beats = [record for record in found if (catalog.H_KIND, b"beat") in record.headers]
    assert 10 == count
    assert sorted((DATA / "ssmd-trade.jsonl").read_bytes().splitlines()) == sorted(r.value for r in frames)
    assert [(0, True), (1, True)] == [(beat.partition, b'"bye":true' in beat.value) for beat in beats]
    assert all((catalog.H_RECORDER, b"kalshi-ws") in record.headers for record in frames)


def test_loading_the_same_file_again_tells_the_same_connection(tmp_path):
    """Wherever the file lies: the fold sees repeats, not a second session."""
    copy = tmp_path / "kalshi-ws" / "other.jsonl"
    copy.parent.mkdir()
    copy.write_bytes((DATA / "ssmd-trade.jsonl").read_bytes())
    assert records.origin_of("s", DATA / "ssmd-trade.jsonl", None) == records.origin_of("s", copy, None)


@pytest.mark.parametrize("name", ["", "ä", "x" * 65])
def test_a_recorders_name_has_bounds(name):
    """It stands in headers and on each fact."""
    with pytest.raises(Refused, match="--recorder: expected 1 to 64 printable ASCII"):
        records.origin_of("s", DATA / "ssmd-trade.jsonl", name)


def test_a_file_that_is_not_there_or_cut_off_is_named(tmp_path):
    """The message names the path and what was expected."""
    empty = tmp_path / "empty"
    empty.mkdir()
    cut = tmp_path / "cut.ndjson.gz"
    cut.write_bytes(b"\x1f\x8b\x08\x00")
    for path, words in [(tmp_path / "none", "there is none"), (cut, "complete file"), (empty, "found none")]:
        with pytest.raises(UnreadableFile, match=words):
            parsed("kalshi.ws", path)
