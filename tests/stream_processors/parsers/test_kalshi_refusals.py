"""Kalshi frames that are none: each is refused with the reason that names what is wrong with it."""

import json

import pytest
from kalshi_frames import (
    CREATED,
    DELTA,
    EVENT,
    FACT_FRAMES,
    SETTLED,
    SNAPSHOT,
    TICKER,
    TRADE,
    fact_of,
    refusal,
    with_msg,
)

_REQUIRED = [
    *[(TRADE, name) for name in ("market_ticker", "trade_id", "yes_price_dollars", "no_price_dollars", "count_fp")],
    *[(TICKER, name) for name in ("market_ticker", "price_dollars", "yes_bid_dollars", "yes_ask_dollars")],
    *[(TICKER, name) for name in ("volume_fp", "open_interest_fp")],
    (SNAPSHOT, "market_ticker"),
    *[(DELTA, name) for name in ("market_ticker", "price_dollars", "delta_fp", "side")],
    *[(CREATED, name) for name in ("market_ticker", "event_type")],
    (EVENT, "event_ticker"),
]


@pytest.mark.parametrize(("frame", "name"), _REQUIRED, ids=lambda part: part if isinstance(part, str) else part["type"])
def test_a_missing_field_is_named(frame, name):
    """A field that the contract requires, and that no older field stands in for."""
    assert "missing_field" == refusal(with_msg(frame, **{name: ...}))


@pytest.mark.parametrize("name", ["sid", "msg"])
@pytest.mark.parametrize("frame", FACT_FRAMES, ids=lambda frame: frame["type"])
def test_a_frame_without_subscription_or_message_is_refused(frame, name):
    """The envelope is as necessary as the message."""
    assert "missing_field" == refusal({key: value for key, value in frame.items() if key != name})


@pytest.mark.parametrize("frame", [SNAPSHOT, DELTA], ids=lambda frame: frame["type"])
def test_a_book_frame_without_a_number_is_refused(frame):
    """Without `seq` nobody can tell whether the book is whole."""
    assert "missing_field" == refusal({key: value for key, value in frame.items() if key != "seq"})


@pytest.mark.parametrize(
    "value", [b'{"type":"fill","sid":1,"msg":{}}', b'{"type":7}', b'{"type":null}', b"{}", b'{"sid":1}']
)
def test_an_unknown_type_is_called_that(value):
    """A private channel, a type that is no text, no type at all."""
    assert "unknown_type" == refusal(value)


def test_a_refusal_quotes_no_reason_from_the_frame_s_own_text():
    """A frame cannot pass itself off as of unknown type by what it writes into a field."""
    assert "bad_value" == refusal(with_msg(DELTA, side="at `$.type`x"))
    assert "bad_value" == refusal(with_msg(DELTA, side="required field"))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"heartbeat",
        b"\xff\xfe{}",
        b'{"type":"trade","sid":1',
        b'{"type":"trade","sid":NaN,"msg":{}}',
        b'{"type":"market_lifecycle_v2","sid":1,"msg":{"market_ticker":"A","event_type":"x","z":NaN}}',
        b'{"type":"market_lifecycle_v2","sid":1,"msg":{"market_ticker":"A","event_type":"x","z":"\xff"}}',
        b'{"type":"market_lifecycle_v2","sid":1,"msg":' + b'{"z":' * 100_000,
        b'{"type":"trade","sid":1,"msg":{"x":' + b"[" * 100_000,
        b'{"type":"trade","sid":1,"msg":{"market_ticker":"\\ud800"}}',
    ],
    ids=lambda value: repr(value[:60]),
)
def test_what_is_no_json_is_called_that(value):
    """Empty, cut short, not UTF-8 (even in a part that only passes through), NaN, nested without end."""
    assert "not_json" == refusal(value)


@pytest.mark.parametrize(
    "value", [b"5", b"null", b'"trade"', b"[]", b"[" * 100_000, b'{"type":"trade","sid":1,"msg":null}']
)
def test_json_that_is_no_frame_is_a_bad_value(value):
    """A frame is an object with an object in it."""
    assert "bad_value" == refusal(value)


@pytest.mark.parametrize(
    ("frame", "over"),
    [
        (TRADE, {"market_ticker": ""}),
        (TRADE, {"market_ticker": "A" * 257}),
        (TRADE, {"count_fp": "-1.00"}),
        (TRADE, {"count_fp": "1e3"}),
        (TRADE, {"count_fp": "NaN"}),
        (TRADE, {"count_fp": "1,000.00"}),
        (TRADE, {"count_fp": "\u0661.00"}),
        (TRADE, {"count_fp": "1" * 33}),
        (TRADE, {"count_fp": ..., "count": -1}),
        (TRADE, {"count_fp": ..., "count": 1.0}),
        (TRADE, {"count_fp": ..., "count": True}),
        (TRADE, {"count_fp": ..., "count": 10**14}),
        (TRADE, {"yes_price_dollars": "-0.01"}),
        (TRADE, {"yes_price_dollars": ""}),
        (TRADE, {"yes_price_dollars": 0.36}),
        (TRADE, {"yes_price_dollars": "1" * 13}),
        (TRADE, {"yes_price_dollars": "0.5" + "0" * 1_000_000}),
        (TRADE, {"yes_price_dollars": ..., "yes_price": 2**53}),
        (TRADE, {"yes_price_dollars": ..., "yes_price": -1}),
        (TRADE, {"taker_outcome_side": "maybe"}),
        (TICKER, {"volume_fp": "-1.00"}),
        (TICKER, {"yes_bid_size_fp": "-0.01"}),
        (TICKER, {"dollar_volume": 2**53 + 1}),
        (DELTA, {"side": "both"}),
        (DELTA, {"delta_fp": ..., "delta": 10**14}),
        (SNAPSHOT, {"yes_dollars_fp": [["0.01"]]}),
        (SNAPSHOT, {"yes_dollars_fp": [["0.01", "-1.00"]]}),
        (SNAPSHOT, {"yes_dollars_fp": [["-0.01", "1.00"]]}),
        (SNAPSHOT, {"yes_dollars_fp": ..., "yes": [[-1, 1]]}),
        (SNAPSHOT, {"yes_dollars_fp": ..., "yes_dollars": [["0.01", -1]]}),
        (CREATED, {"close_ts": -1}),
        (CREATED, {"close_ts": 10**30}),
        (SETTLED, {"settlement_value": "much"}),
    ],
)
def test_a_value_outside_the_contract_is_refused(frame, over):
    """Negative, not a number, no plain decimal, of another type, or more digits than the store's columns hold."""
    assert "bad_value" == refusal(with_msg(frame, **over))


def test_numbers_as_large_as_the_store_holds_pass():
    """18 digits of millionths and of ten-thousandths are what a column has room for."""
    trade = fact_of(with_msg(TRADE, yes_price_dollars="9" * 12 + ".999999", count_fp="9" * 14 + ".9999"))
    assert (10**18 - 1, 10**18 - 1) == (trade.yes_price_e6, trade.size_e4)
    cents = fact_of(with_msg(TRADE, yes_price_dollars=..., yes_price=10**14 - 1, count_fp=..., count=10**14 - 1))
    assert (10**18 - 10**4, 10**18 - 10**4) == (cents.yes_price_e6, cents.size_e4)


@pytest.mark.parametrize("digits", [19, 400, 5_000])
@pytest.mark.parametrize("name", ["sid", "seq"])
def test_huge_integers_are_refused(name, digits):
    """No number of a frame can be larger than what a column holds, however many digits it is written with."""
    value = json.dumps(TRADE | {name: 0}).encode()
    assert "bad_value" == refusal(value.replace(f'"{name}": 0'.encode(), f'"{name}": '.encode() + b"9" * digits))
