"""What the words of TWS bars mean: golden records, and the reasons behind the codes."""

import json
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from stream_processors.ingest import ingest
from topics import tws
from topics.catalog import DEAD, FACT_BAR, RAW_TWS
from topics.log import Record
from topics.tws_codes import reason_of

EXAMPLES = Path(__file__).resolve().parents[2] / "topics" / "examples"
HISTORICAL = "Historical Market Data Service error message:"


def test_the_raw_examples_become_the_examples_of_facts():
    """The golden facts are what the parser reads in the golden records, word for word."""
    told = []
    for offset, line in enumerate((EXAMPLES / f"{RAW_TWS}.jsonl").read_bytes().splitlines()):
        example = json.loads(line)
        headers = tuple((name, text.encode()) for name, text in example["headers"].items())
        told += ingest(RAW_TWS, 0, 1, [Record(RAW_TWS, 0, offset, 0, b"AAPL", headers, example["value"].encode())])
    assert [DEAD] == [output.topic for output in told if output.topic != FACT_BAR]
    facts = [output.value for output in told if output.topic == FACT_BAR]
    assert (EXAMPLES / f"{FACT_BAR}.jsonl").read_bytes().splitlines() == facts


@pytest.mark.parametrize("name", ["event_ns", "received_ns", "known_ns", "known_by", "cause", "conn"])
def test_every_fact_says_when_it_was_known(name):
    """No fact of TWS can be written without one of these."""
    facts = msgspec.inspect.multi_type_info(tws.AnyTwsFact.__args__)
    assert 4 == len(facts)
    for fact in facts:
        (field,) = [field for field in fact.fields if field.name == name]
        assert field.required, fact.cls


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (162, HISTORICAL + "Historical data request pacing violation", "pacing"),
        (162, HISTORICAL + "HMDS query returned no data: AAPL@SMART Trades", "no_data"),
        (162, HISTORICAL + "No market data permissions for EUREX FUT", "no_permission"),
        (162, HISTORICAL + "API historical data query cancelled: 5", "cancelled"),
        (162, HISTORICAL + "something that nobody has seen", "unknown_code"),
        (200, "No security definition has been found for the request", "unknown_contract"),
        (321, "Error validating request", "bad_request"),
        (326, "Unable to connect as the client id is already in use.", "client_id_taken"),
        (354, "Requested market data is not subscribed", "no_permission"),
        (366, "No historical data query found for ticker id:5", "cancelled"),
        (420, "Invalid Real-time Query: Historical data request pacing violation", "pacing"),
        (1100, "Connectivity between IB and TWS has been lost", "connectivity"),
        (1101, "... restored - data lost", "connectivity"),
        (1102, "... restored - data maintained", None),
        (1300, "TWS socket port has been reset", "disconnected"),
        (2104, "Market data farm connection is OK:usfarm", None),
        (2105, "HMDS data farm connection is broken:ushmds", "farm"),
        (2110, "Connectivity between TWS and server is broken", "connectivity"),
        (10089, "Requested market data requires additional subscription for API", "no_permission"),
        (10197, "No market data during competing live session", "competing_session"),
        (99_999, "", "unknown_code"),
    ],
)
def test_a_code_has_one_reason(code, text, reason):
    """Code 162 goes by its text; a code that nobody knows is a failure, never good news."""
    assert reason == reason_of(code, text)
    assert reason in {None, *get_args(tws.TwsReason)}
