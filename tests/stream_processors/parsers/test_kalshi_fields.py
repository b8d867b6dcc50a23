"""No field of a frame is dropped: each is a typed value, or says what one says, or stands in `extra` as it was sent."""

import gzip
import json
from datetime import datetime
from itertools import islice
from pathlib import Path

import pytest
from kalshi_frames import DELTA, FACT_FRAMES, SNAPSHOT, TICKER, TRADE, fact_of, ssmd, with_msg

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "kalshi-ws"
LINES = 3_000  # of each recorded file
TYPED = {
    "trade": {
        "trade_id", "market_ticker", "yes_price_dollars", "no_price_dollars", "count_fp", "taker_outcome_side",
        "taker_book_side", "is_block_trade", "ts_ms",
    },
    "ticker": {
        "market_id", "market_ticker", "price_dollars", "yes_bid_dollars", "yes_ask_dollars", "volume_fp",
        "open_interest_fp", "dollar_volume", "dollar_open_interest", "yes_bid_size_fp", "yes_ask_size_fp",
        "last_trade_size_fp", "ts_ms",
    },
    "orderbook_snapshot": {"market_ticker", "market_id", "yes_dollars_fp", "no_dollars_fp"},
    "orderbook_delta": {"market_ticker", "market_id", "price_dollars", "delta_fp", "side", "ts_ms"},
}  # fmt: skip


def restates(name, msg, fact):
    """Whether an older form of a field says what the fact says, by arithmetic of the test's own."""
    said = msg[name]
    if name == "ts" and isinstance(said, str):
        moment = datetime.fromisoformat(said)
        whole = int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1_000
        return whole == fact.event_ns + fact.beyond_ns
    if name == "time":
        return int(datetime.fromisoformat(said).timestamp()) == fact.event_ns // 10**9
    older = {
        "ts": lambda: fact.event_ns // 10**9,
        "taker_side": lambda: fact.taker_outcome_side,
        "count": lambda: fact.size_e4 / 10**4,
        "volume": lambda: fact.volume_e4 / 10**4,
        "open_interest": lambda: fact.open_interest_e4 / 10**4,
        **{
            n: lambda n=n: getattr(fact, f"{n}_e6") / 10**4
            for n in ("price", "yes_price", "no_price", "yes_bid", "yes_ask")
        },
        "delta": lambda: fact.delta_e4 / 10**4,
    }
    return name in older and said == older[name]()


def dropped(frame):
    """The fields of a frame that nothing in its fact says."""
    fact, msg = fact_of(frame), frame["msg"]
    if frame["type"] not in TYPED:
        assert json.loads(bytes(fact.terms)) == msg
        msg = {}
    extra = json.loads(bytes(fact.extra))
    of_frame = {name for name in frame if name not in {"type", "sid", "seq", "msg"} and frame[name] != extra.get(name)}
    return of_frame | {
        name
        for name in msg
        if name not in TYPED[frame["type"]] and not restates(name, msg, fact) and extra.get(name) != msg[name]
    }


@pytest.mark.parametrize("frame", [*ssmd("trade"), *ssmd("ticker"), *FACT_FRAMES])
def test_every_field_of_a_shipped_frame_is_kept(frame):
    """Recorded ones, and one made up of each type."""
    assert set() == dropped(frame)


def recorded():
    """Files of frames that are not shipped."""
    return sorted(
        path for path in SHARED.rglob("*") if path.name.endswith((".ndjson.gz", ".jsonl.gz", ".jsonl", ".ndjson"))
    )


@pytest.mark.parametrize("path", recorded() or [None], ids=lambda path: "none" if path is None else path.name)
def test_every_field_of_every_recorded_frame_is_kept(path):
    """All types that were seen, in the files at hand."""
    if path is None:
        pytest.skip("needs ../shared/data/kalshi-ws")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in islice(lines, LINES):
            wrapped = json.loads(line)
            frame = wrapped.get("event") or wrapped.get("frame") or wrapped
            if frame.get("type") in {*TYPED, "market_lifecycle_v2"}:
                assert set() == dropped(frame), line


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (with_msg(TRADE, new_field={"a": [1]}, yes_price=99), {"new_field": {"a": [1]}, "yes_price": 99}),
        (with_msg(TRADE, ts=5, taker_side="yes"), {"ts": 5, "taker_side": "yes"}),
        (with_msg(TICKER, time="2020-01-01T00:00:00Z", Clock=7), {"time": "2020-01-01T00:00:00Z", "Clock": 7}),
        (with_msg(DELTA, ts="2020-01-01T00:00:00Z", subaccount=3), {"ts": "2020-01-01T00:00:00Z", "subaccount": 3}),
        (SNAPSHOT | {"id": 9}, {"id": 9}),
        (TRADE | {"_rx_ms": 1}, {"_rx_ms": 1}),
    ],
)
def test_what_is_unknown_or_contradicts_stands_in_extra(frame, said):
    """As sent, beside the typed values; of the frame and of its message alike."""
    assert said == json.loads(bytes(fact_of(frame).extra))


def test_the_finer_time_of_a_delta_is_kept():
    """`ts` has microseconds that `ts_ms` has not."""
    fact = fact_of(with_msg(DELTA, ts="2026-08-05T03:45:40.722003Z", ts_ms=1_785_901_540_722))
    assert (1_785_901_540_722 * 10**6, 3_000, b"{}") == (fact.event_ns, fact.beyond_ns, bytes(fact.extra))
