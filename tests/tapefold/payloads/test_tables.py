"""Tables that recorders and the site made of quotes: each line's values, none for what is not there, and no invented times."""

import csv
import gzip
import json
from collections import Counter
from datetime import datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tapefold.payloads import kalshi_ws, records
from tapefold.payloads.sources import SOURCES
from topics import catalog
from topics.log import MemoryLog

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared" / "data"
EVENT = ROOT / "tests" / "data" / "kalshi-rest" / "cpratim" / "kxhighny" / "events" / "2025-03-15.json.gz"
NOW_NS = 1_800_000_000 * 10**9
ZONE = "America/Los_Angeles"
TOPS = """timestamp,market_ticker,best_yes_bid,best_no_bid,implied_no_ask,implied_yes_ask
2025-12-09T07:04:02.893378,KXHIGHNY-25DEC10-B46.5,2,38,98,62
2025-12-09T07:04:03,KXHIGHNY-25DEC10-B46.5,4,0,96,100
2025-12-09T07:04:04.5,KXHIGHNY-25DEC10-B46.5,0,38,100,62
2025-12-09T07:04:05.5,KXHIGHNY-25DEC10-B46.5,4,38,90,62
"""
CHART = """timestamp,77° or below,78° to 79°,80° or above
2026-04-23T14:01:00Z,,15.00,
2026-04-23T14:02:00Z,4.00,9.06,3.42
"""
CHART_NAME = "kalshi-price-history-kxhighmia-26apr24-minute.csv"


def parsed(source, path, *, zone=None):
    """The lines that `parse` prints, decoded, and its counts."""
    found = SOURCES[source]
    if source == "kalshi.ws":
        found = found._replace(payloads=partial(kalshi_ws.payloads, zone=zone))
    out = []
    counts = records.parse(source, found, [path], None, now_ns=lambda: NOW_NS, out=out.append)
    return [json.loads(line) for line in out], counts


def written(tmp_path, name, text):
    """The table as a file; gzip by its name."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def shared(name):
    """A recorded set that is not shipped."""
    if not (SHARED / name).is_dir():
        pytest.skip(f"needs {name}, whose authors gave no licence to copy it (../shared/data)")
    return SHARED / name


@pytest.mark.parametrize("name", ["tops.csv", "tops.csv.gz"])
def test_best_quotes_are_told_as_they_stand_and_nothing_else_is(tmp_path, name):
    """No price, no volume, no size; where nobody bids there is no bid, and no ask that one would imply."""
    lines, counts = parsed("kalshi.ws", written(tmp_path, name, TOPS), zone=ZONE)
    assert Counter({"payloads": 4, "fact.tick": 4}) == counts
    values = [line["value"] for line in lines]
    assert [
        (20_000, 620_000, 380_000, 980_000, {}),
        (40_000, None, None, 960_000, {}),
        (None, 620_000, 380_000, None, {}),
        (40_000, 620_000, 380_000, 900_000, {"implied_no_ask": 90}),
    ] == [
        (*(value.get(f"{quote}_e6") for quote in ("yes_bid", "yes_ask", "no_bid", "no_ask")), value["extra"])
        for value in values
    ]
    told = {"type", "event_ns", "received_ns", "known_ns", "known_by", "cause", "conn", "market_ticker", "extra"}
    told |= {"yes_bid_e6", "yes_ask_e6", "no_bid_e6", "no_ask_e6"}
    assert [set(), set()] == [told - values[0].keys(), values[0].keys() - told]
    first_ns = 1_765_292_642_893_378_000  # 07:04 in Los Angeles is 15:04 UTC
    assert {(first_ns, first_ns, first_ns, "observed")} == {
        (value["event_ns"], value["received_ns"], value["known_ns"], value["known_by"]) for value in values[:1]
    }


def test_times_without_a_zone_are_refused_by_name(tmp_path):
    """Never taken for UTC, nor for ours; the other files of a folder go on."""
    lines, counts = parsed("kalshi.ws", written(tmp_path, "tops.csv", TOPS))
    assert Counter({"payloads": 4, "dead": 4}) == counts
    assert all("names no time zone; say which one it is in (--zone)" in line["value"]["detail"] for line in lines)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2025-11-02T01:30:00,A-1,2,38,98,62", "bad_value"),  # the clock is set back: which of the two
        ("2025-13-09T07:04:02,A-1,2,38,98,62", "bad_value"),
        ("2025-12-09T07:04:02+01:00,A-1,2,38,98,62", "bad_value"),
        ("2025-12-09T07:04:02,A-1,,38,98,62", "bad_value"),
        ("2025-12-09T07:04:02,A-1,2.5,38,98,62", "bad_value"),
        ("2025-12-09T07:04:02,,2,38,98,62", "bad_value"),
        ("2025-12-09T07:04:02,A-1,2,38,98", "bad_value"),
        ("2025-12-09T07:04:02,A-1,²,38,98,62", "bad_value"),
    ],
)
def test_a_line_that_cannot_be_read_is_refused_alone(tmp_path, row, reason):
    """The line before it stands."""
    header, first, *_ = TOPS.splitlines()
    lines, counts = parsed("kalshi.ws", written(tmp_path, "t.csv", f"{header}\n{first}\n{row}\n"), zone=ZONE)
    assert (1, reason) == (counts["fact.tick"], lines[1]["value"]["reason"])


def test_a_zone_that_nobody_knows_is_refused_in_words(tmp_path):
    """Of each line."""
    lines, _ = parsed("kalshi.ws", written(tmp_path, "t.csv", TOPS), zone="Mars/Olympus")
    assert {"date: expected an IANA time zone such as US/Eastern, was 'Mars/Olympus'"} == {
        line["value"]["detail"] for line in lines
    }


def test_loaded_quotes_have_the_stamp_of_their_recorder(tmp_path):
    """Its minutes are closed by the last of them."""
    log = MemoryLog()
    log.create({catalog.RAW_KALSHI_WS: {}}, 1)
    source = SOURCES["kalshi.ws"]._replace(payloads=partial(kalshi_ws.payloads, zone=ZONE))
    records.load(
        "kalshi.ws", source, [written(tmp_path, "t.csv", TOPS)], "somebody",
        appender=log.appender(), partitions=1, now_ns=lambda: NOW_NS,
    )  # fmt: skip
    first, *_, last = log._topic(catalog.RAW_KALSHI_WS)[0]
    assert (b"wall", b"somebody") == (dict(first.headers)[catalog.H_CLOCK], dict(first.headers)[catalog.H_RECORDER])
    assert b"beat" == dict(last.headers)[catalog.H_KIND]


def test_a_chart_has_prices_and_nothing_for_its_empty_cells(tmp_path):
    """Known a minute after its time, by a rule; the contract is named as the column is, no ticker is made up."""
    lines, counts = parsed("kalshi.rest", written(tmp_path, CHART_NAME, CHART))
    assert Counter({"payloads": 2, "fact.tick": 4}) == counts
    at_ns = 1_776_952_860 * 10**9
    assert [
        ("KXHIGHMIA-26APR24 78° to 79°", 150_000, at_ns),
        ("KXHIGHMIA-26APR24 77° or below", 40_000, at_ns + 60 * 10**9),
        ("KXHIGHMIA-26APR24 78° to 79°", 90_600, at_ns + 60 * 10**9),
        ("KXHIGHMIA-26APR24 80° or above", 34_200, at_ns + 60 * 10**9),
    ] == [(v["market_ticker"], v["last_price_e6"], v["event_ns"]) for v in (line["value"] for line in lines)]
    assert {("assumed", 60 * 10**9)} == {
        (line["value"]["known_by"], line["value"]["known_ns"] - line["value"]["event_ns"]) for line in lines
    }
    assert {"bracket": "77° or below", "price_of": "chart"} == lines[1]["value"]["extra"]


def test_what_a_chart_calls_its_contracts_leads_to_recorded_ones(tmp_path):
    """By event and subtitle, as the venue tells both."""
    told = json.loads(gzip.decompress(EVENT.read_bytes()))["markets"]
    header = ",".join(["timestamp", *(market["yes_sub_title"] for market in told)])
    text = f"{header}\n2025-03-15T14:01:00Z{',1.00' * len(told)}\n"
    lines, _ = parsed("kalshi.rest", written(tmp_path, "x-kxhighny-25mar15-minute.csv", text))
    assert [f"{market['event_ticker']} {market['yes_sub_title']}" for market in told] == [
        line["value"]["market_ticker"] for line in lines
    ]


@pytest.mark.parametrize(
    ("text", "name", "reasons"),
    [
        (CHART.replace("78° to 79°", "warm"), CHART_NAME, {"bad_value": 2}),
        (CHART.replace("15.00", "15.00001"), CHART_NAME, {"bad_value": 1}),
        (CHART.replace("15.00", "100.01"), CHART_NAME, {"bad_value": 1}),
        (CHART.replace("15.00", "nan"), CHART_NAME, {"bad_value": 1}),
        (CHART.replace("15.00,", "15.00"), CHART_NAME, {"missing_field": 1}),
        (CHART.replace("2026-04-23T14:01:00Z", "yesterday"), CHART_NAME, {"bad_value": 1}),
        (CHART, "chart.csv", {"unknown_type": 2}),
    ],
)
def test_what_of_a_chart_cannot_be_read_is_refused_and_the_rest_stands(tmp_path, text, name, reasons):
    """A cell alone, a line alone, and all of a file that names no event."""
    lines, _ = parsed("kalshi.rest", written(tmp_path, name, text))
    assert reasons == Counter(line["value"]["reason"] for line in lines if line["topic"] == "dead")
    if name == CHART_NAME:
        assert any(line["topic"] == "fact.tick" for line in lines)


def table(path):
    """Header and rows, by the standard library."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


@pytest.mark.parametrize("number", range(12))
def test_a_recorded_table_of_quotes_is_read_whole(number):
    """Every line is a fact with the values of the file; what a bid of 0 says is that there is none."""
    files = sorted(shared("kalshi-ws/jetpackjules-kxhighny-tob").glob("*.csv.gz"))
    if number >= len(files):
        pytest.skip("the folder holds fewer files")
    header, rows = table(files[number])
    assert TOPS.splitlines()[0].split(",") == header
    lines, counts = parsed("kalshi.ws", files[number], zone=ZONE)
    assert Counter({"payloads": len(rows), "fact.tick": len(rows)}) == counts
    for line, (at, ticker, *quotes) in zip(lines, rows, strict=True):
        value, (yes, no, no_ask, yes_ask) = line["value"], map(int, quotes)
        moment = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(ZONE))
        assert (ticker, moment.timestamp()) == (
            value["market_ticker"],
            pytest.approx(value["event_ns"] / 1e9, abs=1e-6),
        )
        expected = [
            yes * 10_000 if yes else None, no_ask * 10_000 if yes else None,
            no * 10_000 if no else None, yes_ask * 10_000 if no else None,
        ]  # fmt: skip
        assert expected == [value.get(f"{quote}_e6") for quote in ("yes_bid", "no_ask", "no_bid", "yes_ask")]


@pytest.mark.parametrize("number", range(7))
def test_a_recorded_chart_is_read_whole(number):
    """Every cell that is not empty is a fact with its value, no other is one."""
    files = sorted(shared("kalshi-rest/peterj-kxhighmia-minute-price-history-2026-04").glob("*.csv.gz"))
    if number >= len(files):
        pytest.skip("the folder holds fewer files")
    header, rows = table(files[number])
    expected = [
        (row[0], bracket, round(float(cell) * 10_000))
        for row in rows
        for bracket, cell in zip(header[1:], row[1:], strict=True)
        if cell
    ]
    lines, counts = parsed("kalshi.rest", files[number])
    assert Counter({"payloads": len(rows), "fact.tick": len(expected)}) == counts
    found = [line["value"] for line in lines]
    assert [(bracket, price) for _, bracket, price in expected] == [
        (value["extra"]["bracket"], value["last_price_e6"]) for value in found
    ]
    assert [int(datetime.fromisoformat(at).timestamp()) for at, *_ in expected] == [
        value["event_ns"] // 10**9 for value in found
    ]
