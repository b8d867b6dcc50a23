"""Recorded bars are read as their files write them: every line of every set becomes a fact, or says why not."""

import csv
import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from stream_processors.ingest import ingest
from tapefold.payloads import records
from tapefold.payloads.files import UnreadableFile
from tapefold.payloads.sources import SOURCES
from tapefold.payloads.tws import Given, payloads
from topics.codec import decode_fact
from topics.log import Record
from topics.tws import TwsBar, TwsError

BARS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "ib-bars"
needs_recordings = pytest.mark.skipif(
    not BARS.is_dir(), reason="needs recorded bars, most without licence (../shared/data)"
)


def told(path, **given):
    """The facts of a file, and how many records went to each topic."""
    facts, topics = [], Counter()
    for number, payload in enumerate(payloads(path, Given(**given))):
        headers = records.headers_of(payload, records.origin_of("tws", path, None), 1)
        for output in ingest("raw.tws", 0, 1, [Record("raw.tws", 0, number, 0, payload.key, headers, payload.value)]):
            topics[output.topic] += 1
            if output.topic == "fact.bar":
                facts.append(decode_fact(output.value))
    return facts, dict(topics)


def e6(text):
    """A decimal by hand, not by the parser's way."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(6, "0"))


@needs_recordings
def test_minutes_of_a_future_are_all_read():
    """116 lines; times of Berlin in winter; 10 columns that no name is known for are kept."""
    path = next((BARS / "fdax-1min-ibkr").glob("*.csv"))
    rows = list(csv.DictReader(path.open()))
    facts, topics = told(path, zone="Europe/Berlin")
    assert {"fact.bar": len(rows)} == topics
    assert [e6(row["Close"]) for row in rows] == [fact.close_e6 for fact in facts]
    assert [int(float(row["Volume"]) * 10_000) for row in rows] == [fact.volume_e4 for fact in facts]
    assert [int(row["BarCount"]) for row in rows] == [fact.count for fact in facts]
    assert {("FDAX", 540729684, "1 min", "assumed", 10)} == {
        (fact.symbol, fact.con_id, fact.bar_size, fact.known_by, len(json.loads(bytes(fact.terms)))) for fact in facts
    }
    assert "2024-11-01 01:15:00" == rows[0]["Datetime"]
    assert 1_730_420_100 * 10**9 == facts[0].event_ns  # 00:15 UTC


@needs_recordings
def test_without_a_zone_nothing_is_guessed():
    """The times name none: each line is refused, by that name."""
    facts, topics = told(next((BARS / "fdax-1min-ibkr").glob("*.csv")))
    assert ([], {"dead": 116}) == (facts, topics)


@needs_recordings
def test_five_minute_bars_are_all_read():
    """6,002 lines, in gzip; their size is told by their times."""
    path = next((BARS / "gc-5min-ibkr").glob("*.csv.gz"))
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    facts, topics = told(path, symbol="GC", zone="America/New_York")
    assert {"fact.bar": 6_002} == topics
    assert [e6(row["high"]) for row in rows] == [fact.high_e6 for fact in facts]
    assert {"5 mins"} == {fact.bar_size for fact in facts}


@needs_recordings
def test_bars_as_ndjson_are_all_read():
    """405 lines; floats are taken by their digits."""
    path = BARS / "nautilus-historic" / "bars.json.gz"
    with gzip.open(path, "rt") as file:
        rows = [json.loads(line, parse_float=str) for line in file]
    facts, topics = told(path, symbol="TSLA", zone="America/Halifax")
    assert {"fact.bar": len(rows)} == topics
    assert [e6(row["average"]) for row in rows] == [fact.average_e6 for fact in facts]
    assert {"1 min"} == {fact.bar_size for fact in facts}


@needs_recordings
def test_a_dialogue_with_a_gateway_is_read():
    """Seven hours of AAPL and three notices of health, each at its time."""
    facts, topics = told(BARS / "ibkr-go-transcripts" / "grounded" / "grounded_historical_bars.txt")
    bars = [fact for fact in facts if isinstance(fact, TwsBar)]
    assert {"fact.bar": 10} == topics
    assert [252_530_000, 255_380_000, 254_570_000] == [bar.close_e6 for bar in bars[:3]]
    assert (1_775_136_600 * 10**9, "1 hour", True, 28_297_360_000) == (  # 09:30 in New York in summer
        bars[0].event_ns, bars[0].bar_size, bars[0].use_rth, bars[0].volume_e4,
    )  # fmt: skip
    assert [2104, 2106, 2158] == [fact.code for fact in facts if isinstance(fact, TwsError)]


@needs_recordings
def test_every_line_of_every_dialogue_is_read():
    """No message of a recorded server is unknown, and each error code has its reason."""
    reasons = Counter()
    for path in sorted((BARS / "ibkr-go-transcripts").rglob("*.txt")):
        if path.name == "PROVENANCE.md":
            continue
        facts, topics = told(path)
        assert "dead" not in topics, path
        reasons.update(fact.reason for fact in facts if isinstance(fact, TwsError))
    assert {"connectivity", "no_permission", None} <= set(reasons)


@needs_recordings
def test_raw_messages_of_another_client_are_taken_as_they_were():
    """Fields ended by NUL, with the stamp of their recorder; they are of accounts and state no bar."""
    (path,) = (BARS / "rust-ibapi-recorded").glob("*.yaml*")
    found = list(payloads(path))
    assert 9 == len(found)
    assert b"49\x001\x001752606307\x00" == found[0].value
    assert {1_752_606_313 * 10**9} == {payload.stamped_ns for payload in found}
    assert ([], {}) == told(path)


@needs_recordings
def test_what_a_notebook_printed_is_read():
    """Six bars of 5 s, an error; an hour's bar does not say of what size it is, and is refused."""
    facts, topics = told(BARS / "ib_async-notebook-outputs" / "outputs.txt", symbol="EURUSD", what_to_show="MIDPOINT")
    assert {"fact.bar": 7, "dead": 1} == topics
    assert ["cancelled"] == [fact.reason for fact in facts if isinstance(fact, TwsError)]
    assert [1_122_975] * 3 == [fact.close_e6 for fact in facts if isinstance(fact, TwsBar)][:3]


@pytest.mark.parametrize("symbol", ['"\\ud800"', "[" * 980 + "]" * 980, "[" * 5_000 + "]" * 5_000])
@pytest.mark.parametrize("name", ["symbol", "req_id"])
def test_a_request_that_is_no_text_is_none(tmp_path, symbol, name):
    """Half of a pair of surrogates, or lists in lists: the bar behind it is refused, as nobody says whose it is."""
    contract, req_id = (symbol, "1") if name == "symbol" else ('"AAPL"', symbol)
    path = tmp_path / "dialogue.txt"
    path.write_text(
        f'client req_realtime_bars {{"req_id":{req_id},"contract":{{"symbol":{contract}}},"what_to_show":"TRADES"}}\n'
        'server realtime_bar {"req_id":1,"time":"2026-04-05T12:00:05Z","open":"1","high":"1","low":"1","close":"1"}\n'
    )
    assert ([], {"dead": 1}) == told(path)


def test_rows_that_are_nested_without_end_are_still_payloads(tmp_path):
    """The parser refuses them, each with its words; the file's other rows are read."""
    path = tmp_path / "bars.jsonl"
    row = '{"date":"2025-01-13T14:3%d:00Z","open":"1","high":"1","low":"1","close":"1","volume":"5","x":%s}\n'
    path.write_text(
        row % (0, "1") + row % (1, "[" * 5_000 + "]" * 5_000) + row % (2, "[" * 985 + "]" * 985) + row % (3, "1")
    )
    facts, topics = told(path, symbol="X")
    assert 2 == len(facts)
    assert {"fact.bar": 2, "dead": 2} == topics


def test_a_file_of_another_kind_is_named(tmp_path):
    """The message says what was expected."""
    path = tmp_path / "x.txt"
    path.write_text("hello\n")
    with pytest.raises(UnreadableFile, match="expected bars as CSV"):
        list(payloads(path))


def test_a_folder_is_searched(tmp_path):
    """By the suffixes of the source, like every other."""
    (tmp_path / "b.csv").write_text(
        "date,open,high,low,close,volume\n2025-01-13T14:30:00Z,1,1,1,1,5\n2025-01-13T14:31:00Z,1,1,1,1,5\n"
    )
    said = []
    given = SOURCES["tws"]._replace(payloads=lambda path: payloads(path, Given("X")))
    counts = records.parse("tws", given, [tmp_path], None, now_ns=lambda: 1, out=said.append)
    assert {"payloads": 2, "fact.bar": 2} == dict(counts)
    assert "1 min" == json.loads(said[0])["value"]["bar_size"]
