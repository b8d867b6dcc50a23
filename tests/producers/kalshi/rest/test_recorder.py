"""The loops against the simulator: everything that was recorded is on the log exactly, whatever goes wrong on the way."""

import asyncio
import json
import random
import time
from collections import Counter

import pytest
from rest_bench import DATA, IDS, TRADED, TRADES, Bench, naming, rehearse

from producers.backoff import Breaker
from producers.kalshi.auth import Signer
from producers.kalshi.rest import asker as asking
from producers.kalshi.rest.budget import Budget
from producers.kalshi.rest.door import Door
from producers.kalshi.rest.recorder import Recorder
from tapefold import wiring
from tapefold.simulators.kalshi.archive import Archive
from tapefold.simulators.kalshi.faults import RestFaults
from tapefold.simulators.kalshi.running import running
from topics.catalog import H_STATUS, H_URL
from topics.codec import decode_beat_notice
from topics.errors import Refused
from topics.stations import StationUnresolved


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Retries wait milliseconds, with the same rule."""
    real = asking.Backoff
    monkeypatch.setattr(asking, "Backoff", lambda: real(base_s=0.001, cap_s=0.01))


def test_a_recorded_day_is_on_the_log_exactly(tmp_path):
    """Every trade once as a fact, every market done, and each answer with what was asked."""
    bench = Bench(tmp_path)
    checkpoint, counters = rehearse(tmp_path, bench)
    assert IDS == sorted(trade.trade_id for trade in bench.trades())
    assert (set(TRADES), True) == (set(checkpoint.markets), all(known.done for known in checkpoint.markets.values()))
    assert all({H_URL, H_STATUS} <= dict(record.headers).keys() for record in bench.records())
    assert Counter(name for name, _ in bench.metrics).keys() >= {
        "rest.discovery",
        "rest.backfill",
        "rest.closed_cleanup",
    }
    assert 0 == sum(counters.rest_faults.values())
    assert {(ticker, "candles") for ticker in TRADED} == bench.gaps(), "the recording has none"


@pytest.mark.parametrize("cutoff", [None, "2026-01-01T00:00:00Z"])
def test_live_and_historical_endpoints_give_the_same_facts(tmp_path, cutoff):
    """Behind the cutoff markets and trades live elsewhere; signed or not."""
    bench = Bench(tmp_path)
    _, counters = rehearse(tmp_path, bench, cutoff=cutoff, signed=True)
    assert IDS == sorted(trade.trade_id for trade in bench.trades())
    asked = "/trade-api/v2/historical/trades" if cutoff else "/trade-api/v2/markets/trades"
    assert (0, True) == (counters.refused, counters.rest[asked] > 0)


def test_what_is_done_is_not_asked_again(tmp_path):
    """A second run over the same days finds the checkpoint and fetches no trade."""
    bench = Bench(tmp_path)
    _, counters = rehearse(tmp_path, bench, times=2)
    assert len(TRADES) == counters.rest["/trade-api/v2/markets/trades"] - sum(
        len(listed) // 1_000 for listed in TRADES.values()
    )


@pytest.mark.parametrize("noted", ["of another log", "by a version that named no log"])
def test_what_stands_on_another_log_is_fetched_again(tmp_path, noted):
    """The same folder, a new broker: all of it, though a checkpoint says that all is done."""
    bench = Bench(tmp_path)
    checkpoint, _ = rehearse(tmp_path, bench)
    assert all(known.done for known in checkpoint.markets.values())
    if noted == "of another log":
        bench.log_id = "another"
    else:
        said = json.loads(bench.path.read_bytes())
        assert "memory" == said.pop("log")
        bench.path.write_text(json.dumps(said))
    again = Bench(tmp_path)
    again.log_id = bench.log_id
    rehearse(tmp_path, again)
    assert IDS == sorted(trade.trade_id for trade in again.trades())


def test_a_file_that_is_no_checkpoint_is_refused_by_its_name(tmp_path):
    """To go on without it would ask for all once more, and nobody would know why."""
    bench = Bench(tmp_path)
    bench.path.parent.mkdir()
    bench.path.write_text("{")
    with pytest.raises(Refused, match=r"checkpoint\.json is no checkpoint of markets"):
        asyncio.run(bench.run("http://127.0.0.1:1"))


def test_storms_are_ridden_out_and_told(tmp_path):
    """429 without Retry-After and 503 by chance: nothing is lost, nothing doubled, every retry is a line."""
    bench = Bench(tmp_path)
    faults = RestFaults((("429", 0.15), ("503", 0.15)))
    rehearse(tmp_path, bench, faults=faults)
    assert IDS == sorted(trade.trade_id for trade in bench.trades())
    assert {"HTTP 429", "HTTP 503"} <= {fields["said"][:8] for fields in bench.said("rest.retry")}


def test_a_failed_page_leaves_nothing_of_its_listing(tmp_path):
    """Pages that break off are refused: the bad page stands as evidence, none of the good ones is taken for the whole."""
    bench = Bench(tmp_path)
    rehearse(tmp_path, bench, faults=RestFaults((("truncate", 0.3),)), page_limit=100)
    assert any(b"limit=100&" in dict(record.headers)[H_URL] for record in bench.records())
    told = {trade.market_ticker: [] for trade in bench.trades()}
    for trade in bench.trades():
        told[trade.market_ticker].append(trade.trade_id)
    for ticker, ids in told.items():
        assert sorted(trade["trade_id"] for trade in TRADES[ticker]) == sorted(ids), ticker
    assert bench.said("rest.refused")
    again = Bench(tmp_path)
    again.log = bench.log
    rehearse(tmp_path, again)
    assert IDS == sorted(trade.trade_id for trade in again.trades())


def test_an_empty_answer_is_not_taken_for_no_trades(tmp_path):
    """The market's own volume is the evidence: what does not add up is asked for again."""
    bench = Bench(tmp_path)
    rehearse(tmp_path, bench, faults=RestFaults((("empty", 0.3),)))
    told = {trade.market_ticker for trade in bench.trades()}
    assert told
    for ticker in told:
        assert len(TRADES[ticker]) == len({t.trade_id for t in bench.trades() if t.market_ticker == ticker})
    assert bench.said("rest.incomplete")


def test_trades_that_never_add_up_are_a_named_gap(tmp_path, monkeypatch):
    """Three whole listings, then a row that says so; the market is done all the same."""
    monkeypatch.setattr(Archive, "_traded", lambda *_: [])
    bench = Bench(tmp_path)
    checkpoint, _ = rehearse(tmp_path, bench)
    assert all(known.done for known in checkpoint.markets.values())
    assert {(ticker, what) for ticker in TRADED for what in ("trade", "candles")} == bench.gaps()


def test_a_dead_host_opens_the_breaker_and_ends_in_words(tmp_path):
    """The round is told as failed; the breaker's opening is a line of its own."""
    bench = Bench(tmp_path, threshold=3, open_s=0.01)
    checkpoint = asyncio.run(bench.run("http://127.0.0.1:1"))
    assert ({}, [], []) == (checkpoint.markets, bench.records(), bench.records(b"coverage"))
    assert bench.said("rest.breaker")
    assert "attempts, the last" in bench.said("rest.failed")[0]["error"]


def test_the_stated_limit_is_never_exceeded(tmp_path):
    """The simulator's busiest second, at the pace of the basic tier."""
    bench = Bench(tmp_path, tier="basic")
    _, counters = rehearse(tmp_path, bench)
    assert counters.rest_per_second_max <= 20


def test_eight_shards_and_the_recorder_together_never_exceed_the_limit(tmp_path):
    """All begin in one moment, with full buckets, and ask as fast as they may; the simulator counts."""

    async def greedy(url, caller, until_s):
        door = Door(f"{url}/trade-api/v2", now_ns=wiring.now_ns)
        budget = Budget("basic", time.monotonic(), caller=caller, shards=8)
        asker = asking.Asker(door, budget, Breaker(0, 0.0), rng=random.Random(1), on_metric=lambda *_, **__: None)
        while time.monotonic() < until_s:
            await asker.get("/markets?series_ticker=KXHIGHNY&limit=1", "live")
        await door.aclose()

    async def play():
        async with running([], state_folder=tmp_path, clock_ms=wiring.now_ms, archive=Archive([DATA])) as simulator:
            await asyncio.sleep(1.02 - wiring.now_ms() / 1_000 % 1)  # the first burst falls into one of its seconds
            until_s = time.monotonic() + 4.0
            await asyncio.gather(*(greedy(simulator.http_url, one, until_s) for one in ("rest", *["ws"] * 8)))
            return simulator.counters

    counters = asyncio.run(play())
    assert counters.rest_per_second_max <= 20
    assert 9 < sum(counters.rest.values())  # how near they come is told by the budget's own tests


def test_an_unknown_weather_series_is_a_named_error_before_anything_is_asked(tmp_path):
    """Its trades would stand under no station."""
    bench = Bench(tmp_path)
    with pytest.raises(StationUnresolved, match="series KXHIGHTXYZ"):
        asyncio.run(bench.run("http://127.0.0.1:1", series=("KXHIGHTXYZ",)))
    assert [] == bench.metrics


def test_series_and_markets_without_a_station_are_left_out_where_nobody_chose_them(tmp_path):
    """Each is a gap and a line; the others are whole, and the run ends as if they had not been there."""
    bench = Bench(tmp_path)
    ticker = max(TRADED)
    bench.door = naming(ticker, "LGA")
    checkpoint, _ = rehearse(tmp_path, bench, series=("KXHIGHTXYZ", "KXHIGHNY"), leave_out=True)
    assert set(TRADED) - {ticker} == {trade.market_ticker for trade in bench.trades()}
    assert {"KXHIGHTXYZ": "failed", "KXHIGHNY": "done"} == checkpoint.kalshi_series_sync
    assert {("KXHIGHTXYZ", "listing"), (ticker, "trade")} <= bench.gaps()
    assert ["KXHIGHTXYZ", ticker] == [fields["subject"] for fields in bench.said("rest.unresolved")]


def test_a_run_of_nothing_but_what_is_left_out_ends_in_order(tmp_path):
    """Nothing is asked about it, and it says good-bye, as the others."""
    bench = Bench(tmp_path)
    _, counters = rehearse(tmp_path, bench, series=("KXHIGHTXYZ",), leave_out=True)
    assert {"/trade-api/v2/historical/cutoff"} == set(counters.rest)
    assert {("KXHIGHTXYZ", "listing")} == bench.gaps()
    assert decode_beat_notice(bench.records(b"beat")[-1].value).bye


def test_a_wrong_signature_is_terminal(tmp_path):
    """401 is not asked again; it stands on the log as what it is."""
    bench = Bench(tmp_path)
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # this test alone makes a key
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _, counters = rehearse(tmp_path, bench, signer=Signer("other", pem))
    assert counters.refused == len(bench.said("rest.refused"))
    assert {b"401"} == {dict(record.headers)[H_STATUS] for record in bench.records()}


def test_nobody_asks_again_before_the_edge_cache_has_gone(tmp_path, monkeypatch):
    """Public answers may be 15 s old: a shorter interval would bring the same once more."""
    intervals = []

    async def every(_recorder, _stop, interval_s, _rounds):
        intervals.append(interval_s)

    async def rounds(recorder):
        await recorder._rounds(asyncio.Event(), 1.0, 40.0, until_done=False)

    monkeypatch.setattr(Recorder, "_every", every)
    rehearse(tmp_path, Bench(tmp_path), rounds=rounds)
    assert [15.0, 40.0] == intervals


def test_the_outcome_of_a_market_that_has_moved_behind_the_cutoff_is_found_there(tmp_path):
    """The live endpoint answers 404 from then on; the historical one has it."""
    bench, final = Bench(tmp_path), []

    async def rounds(recorder):
        await recorder.discover()
        await recorder.list_past()
        for known in recorder.checkpoint.markets.values():
            known.status = "closed"
        await recorder.clean()
        final.extend(known.final for known in recorder.checkpoint.markets.values())

    _, counters = rehearse(tmp_path, bench, cutoff="2026-01-01T00:00:00Z", rounds=rounds)
    assert [True] * len(TRADES) == final
    assert [] == bench.said("rest.refused")
    assert any(path.startswith("/trade-api/v2/historical/markets/") for path in counters.rest)
