"""Kalshi frames -> facts: every frame type and every era of prices and times."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from kalshi_frames import (
    CAUSE,
    DELTA,
    EVENT,
    FACT_FRAMES,
    FEE,
    MS,
    RECEIVED_NS,
    REPLIES,
    SETTLED,
    SNAPSHOT,
    TRADE,
    S,
    fact_of,
    refusal,
    ssmd,
    with_msg,
)
from msgspec.structs import replace

from stream_processors.envelope import Envelope
from stream_processors.parsers.kalshi.restated import NOTHING
from topics.codec import decode_fact, encode
from topics.events import BookDelta, BookSnapshot, Market, Tick, Trade

SINGLES = Path(__file__).resolve().parents[4] / "shared" / "data" / "kalshi-ws" / "verbatim-singles" / "frames.jsonl"


def e6(text):
    return int(Decimal(text) * 10**6)


def e4(text):
    return int(Decimal(text) * 10**4)


# --- recorded frames --------------------------------------------------------------------------------------------------


def test_a_trade_of_the_integer_cent_era_is_read_exactly():
    """The first recorded trade of February 2026, field by field."""
    assert Trade(
        market_ticker="KXSOLD-26FEB1217-T79.9999",
        event_ns=1_770_897_981 * S,
        received_ns=RECEIVED_NS,
        known_ns=RECEIVED_NS,
        known_by="observed",
        cause=CAUSE,
        conn="conn-1",
        sid=2,
        seq=10,
        trade_id="f851595a-6d92-424e-09f8-0d2669de70ae",
        yes_price_e6=770_000,
        no_price_e6=230_000,
        size_e4=750_000,
        taker_outcome_side="yes",
    ) == fact_of(ssmd("trade")[0])


def test_a_ticker_of_the_integer_cent_era_is_read_exactly():
    """The first recorded ticker of February 2026, field by field; a field of another's recorder stands in `extra`."""
    fact = fact_of(ssmd("ticker")[0])
    assert {"Clock": 13281241747} == json.loads(bytes(fact.extra))
    assert Tick(
        market_ticker="KXXRP-26FEB1317-B1.3899500",
        event_ns=1_770_897_976 * S,
        received_ns=RECEIVED_NS,
        known_ns=RECEIVED_NS,
        known_by="observed",
        cause=CAUSE,
        conn="conn-1",
        sid=1,
        price_e6=140_000,
        yes_bid_e6=40_000,
        yes_ask_e6=950_000,
        volume_e4=134_460_000,
        open_interest_e4=8_920_000,
        yes_bid_size_e4=140_000,
        yes_ask_size_e4=840_000,
        last_trade_size_e4=0,
        dollar_volume=6_723,
        dollar_open_interest=446,
        market_id="6a958fdf-4723-4333-9531-57111fbc51d3",
    ) == replace(fact, extra=NOTHING)


@pytest.mark.parametrize("frame", ssmd("trade"), ids=lambda frame: frame["msg"]["trade_id"])
def test_recorded_trades_agree_with_plain_decimal_arithmetic(frame):
    """Prices and sizes are what decimal arithmetic makes of the strings, and of the cents beside them."""
    msg, trade = frame["msg"], fact_of(frame)
    assert (e6(msg["yes_price_dollars"]), e6(msg["no_price_dollars"])) == (trade.yes_price_e6, trade.no_price_e6)
    assert (msg["yes_price"] * 10_000, msg["count"] * 10_000) == (trade.yes_price_e6, trade.size_e4)
    assert (msg["market_ticker"], msg["taker_side"], msg["ts"] * S, frame["seq"]) == (
        trade.market_ticker,
        trade.taker_outcome_side,
        trade.event_ns,
        trade.seq,
    )


@pytest.mark.parametrize("frame", ssmd("ticker"), ids=lambda frame: frame["msg"]["market_ticker"])
def test_recorded_tickers_agree_with_plain_decimal_arithmetic(frame):
    """Each of the recorded tickers, which show sub-cent markets as well, is read to the last digit."""
    msg, tick = frame["msg"], fact_of(frame)
    for name in ("price", "yes_bid", "yes_ask"):
        assert e6(msg[f"{name}_dollars"]) == getattr(tick, f"{name}_e6")
    for name in ("volume", "open_interest", "yes_bid_size", "yes_ask_size", "last_trade_size"):
        assert e4(msg[f"{name}_fp"]) == getattr(tick, f"{name}_e4")
    assert (msg["ts"] * S, None, msg["dollar_volume"]) == (tick.event_ns, tick.seq, tick.dollar_volume)


@pytest.mark.parametrize("name", ["trade", "ticker"])
def test_cents_and_strings_of_the_same_frame_give_the_same_fact(name):
    """Recorded frames with their strings taken out, or with their cents, say what the whole frame says."""
    texts = ("_dollars", "_fp")
    for frame in ssmd(name):
        whole = fact_of(frame)
        twins = {field.removesuffix("_dollars").removesuffix("_fp") for field in frame["msg"] if field.endswith(texts)}
        strings = with_msg(frame, **dict.fromkeys(twins & frame["msg"].keys(), ...))
        cents = with_msg(
            frame,
            **{
                field: ...
                for field in frame["msg"]
                if field.endswith(texts) and field.removesuffix("_dollars").removesuffix("_fp") in frame["msg"]
            },
        )
        assert [whole, whole] == [fact_of(strings), fact_of(cents)]


_KINDS = {"orderbook_snapshot": BookSnapshot, "orderbook_delta": BookDelta, "ticker": Tick}


def test_every_single_frame_that_others_captured_is_read():
    """13 frames of eight types, of production and of the demo: the right kind of fact, with its ticker and exact times."""
    if not SINGLES.is_file():
        pytest.skip("needs single frames whose authors gave no licence to copy them (../shared/data)")
    frames = [json.loads(line)["frame"] for line in SINGLES.read_text().splitlines()]
    for frame in frames:
        kind, msg, fact = frame["type"], frame["msg"], fact_of(frame)
        if kind in {"subscribed", "ok", "error"}:
            assert fact is None
            continue
        assert _KINDS.get(kind, Market) is type(fact)
        assert (msg["market_ticker"], frame["sid"], frame.get("seq")) == (fact.market_ticker, fact.sid, fact.seq)
        if "ts_ms" in msg:
            assert msg["ts_ms"] * MS == fact.event_ns
        match fact:
            case BookSnapshot():
                for side in ("yes", "no"):
                    levels = tuple((e6(price), e4(size)) for price, size in msg.get(f"{side}_dollars_fp", []))
                    assert levels == getattr(fact, side)
                assert (msg["market_id"] or None) == fact.market_id
            case BookDelta():
                assert (e6(msg["price_dollars"]), e4(msg["delta_fp"])) == (fact.price_e6, fact.delta_e4)
            case Tick():
                assert (e6(msg["price_dollars"]), e4(msg["volume_fp"])) == (fact.price_e6, fact.volume_e4)
            case Market():
                assert (msg["event_type"], msg) == (fact.event_type, json.loads(bytes(fact.terms)))
                assert (msg.get("determination_ts"), msg.get("settled_ts"), msg.get("result")) == (
                    fact.determination_ts,
                    fact.settled_ts,
                    fact.result,
                )


# --- what a frame of today says ---------------------------------------------------------------------------------------


def test_a_trade_keeps_fractions_of_contracts_and_the_taker():
    """Sizes have two decimals since March 2026; block trades and both names of the taker's side are kept."""
    trade = fact_of(TRADE)
    assert (360_000, 640_000, 1_362_500) == (trade.yes_price_e6, trade.no_price_e6, trade.size_e4)
    assert ("no", "ask", False, 2) == (
        trade.taker_outcome_side,
        trade.taker_book_side,
        trade.is_block_trade,
        trade.seq,
    )


def test_a_trade_without_a_sequence_number_is_a_trade():
    """Until 2026 trades were not numbered."""
    assert fact_of({key: value for key, value in TRADE.items() if key != "seq"}).seq is None


def test_sub_cent_prices_are_kept_to_the_millionth():
    """Markets with ticks below a cent send up to six decimals."""
    assert 123_456 == fact_of(with_msg(TRADE, yes_price_dollars="0.123456")).yes_price_e6
    assert "bad_value" == refusal(with_msg(TRADE, yes_price_dollars="0.1234567"))


def test_strings_win_over_integers():
    """Where a frame has both, the older integers are rounded and the strings are not."""
    trade = fact_of(with_msg(TRADE, yes_price=35, no_price=65, count=136))
    assert (360_000, 640_000, 1_362_500) == (trade.yes_price_e6, trade.no_price_e6, trade.size_e4)
    book = fact_of(with_msg(SNAPSHOT, yes_dollars=[["0.07", 1]], yes=[[7, 1]], no=[[54, 20]], no_dollars_fp=[]))
    assert (((80_000, 3_000_000), (220_000, 3_333_300)), ()) == (book.yes, book.no)


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ({"yes_dollars_fp": [["0.4800", "12.50"]]}, {"no_dollars_fp": [["0.5100", "3.00"]]}),
        ({"yes_dollars": [["0.4800", 12]]}, {"no_dollars": [["0.5100", 3]]}),
        ({"yes": [[48, 12]]}, {"no": [[51, 3]]}),
        ({"yes": [[48, 12]], "yes_dollars": [["0.4800", 12]]}, {"no": [[51, 3]], "no_dollars": [["0.5100", 3]]}),
    ],
    ids=["strings", "dollars beside contracts", "cents", "cents and dollars"],
)
def test_a_snapshot_of_every_era_has_the_same_levels(yes, no):
    """Levels in cents, in dollars with whole contracts, and in strings mean the same book."""
    snapshot = fact_of(SNAPSHOT | {"msg": {"market_ticker": "A", **yes, **no}})
    size = 125_000 if "yes_dollars_fp" in yes else 120_000
    assert (((480_000, size),), ((510_000, 30_000),)) == (snapshot.yes, snapshot.no)


def test_an_empty_book_has_no_levels_and_no_market_id():
    """An empty side is left out of the frame, or is null; an empty id is none."""
    for msg in ({"market_id": ""}, {"market_id": "", "yes_dollars_fp": [], "no_dollars_fp": None}):
        snapshot = fact_of(SNAPSHOT | {"msg": {"market_ticker": "A", **msg}})
        assert ((), (), None) == (snapshot.yes, snapshot.no, snapshot.market_id)


def test_a_delta_of_the_integer_era_is_the_same_change():
    """Cents and contracts in whole numbers, the change with its sign."""
    old = with_msg(DELTA, price_dollars=..., delta_fp=..., price=96, delta=-54)
    assert fact_of(DELTA) == fact_of(old)
    assert (960_000, -540_000, "yes") == (fact_of(old).price_e6, fact_of(old).delta_e4, fact_of(old).side)


def test_lifecycle_keeps_its_terms_as_they_were_sent():
    """The whole message stays, byte for byte: spaces, order, fields that nobody reads yet."""
    terms = b'{ "market_ticker":"A-1", "event_type":"created","close_ts":1776050000 ,"x":[1.50,{"y":null}],"n":1e3}'
    market = fact_of(b'{"type":"market_lifecycle_v2","sid":14,"seq":3,"msg":' + terms + b"}")
    assert (terms, 1_776_050_000) == (bytes(market.terms), market.close_ts)
    assert terms in encode(market)
    assert terms == bytes(decode_fact(encode(market)).terms)


def test_lifecycle_times_and_results_are_read():
    """A settlement states its moments in seconds, its result, and its value in dollars."""
    market = fact_of(SETTLED)
    assert (1_776_060_000, 1_776_063_600, "yes", 1_000_000) == (
        market.determination_ts,
        market.settled_ts,
        market.result,
        market.settlement_value_e6,
    )
    assert RECEIVED_NS == market.event_ns  # the frame has no time of its own


@pytest.mark.parametrize("frame", [EVENT, FEE], ids=lambda frame: frame["type"])
def test_news_of_a_whole_event_stands_under_the_event_s_ticker(frame):
    """Events come on the lifecycle channel too, and have no market."""
    market = fact_of(frame)
    assert ("KXHIGHMIA-26APR11", frame["type"]) == (market.market_ticker, market.event_type)


@pytest.mark.parametrize("frame", REPLIES, ids=lambda frame: json.dumps(frame)[:40])
def test_replies_to_our_own_commands_state_no_fact(frame):
    """They are kept in bronze, and that is all."""
    assert fact_of(frame) is None


def test_a_fact_carries_its_session_and_its_cause():
    """Connection, subscription, place on the log, and how its time of knowledge was come by."""
    for frame in FACT_FRAMES:
        fact = fact_of(frame, Envelope("tape-9", 7, "assumed"))
        assert ("tape-9", frame["sid"], CAUSE, 7, 7, "assumed") == (
            fact.conn,
            fact.sid,
            fact.cause,
            fact.received_ns,
            fact.known_ns,
            fact.known_by,
        )
