"""The loops against the simulator: everything that was recorded is on the log exactly, whatever goes wrong on the way."""

import asyncio
import gzip
import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from producers.kalshi.auth import Signer
from producers.kalshi.rest import asker as asking
from producers.kalshi.rest.asker import Asker
from producers.kalshi.rest.budget import Breaker, Budget
from producers.kalshi.rest.door import Door
from producers.kalshi.rest.recorder import Recorder, Span
from producers.publish import Publisher
from stream_processors.ingest import ingest
from tapefold import wiring
from tapefold.simulators.kalshi.archive import Archive
from tapefold.simulators.kalshi.faults import RestFaults
from tapefold.simulators.kalshi.running import running
from topics.catalog import FACT_TRADE, H_KIND, H_STATUS, H_URL, RAW_KALSHI_REST
from topics.codec import decode_fact
from topics.log import MemoryLog
from topics.stations import StationUnresolved

DATA = Path(__file__).resolve().parents[3] / "data" / "kalshi-rest" / "cpratim"
DAY = Span(1_741_996_800, 1_742_256_000)  # closes of 2025-03-15 to 03-17
TRADES = json.loads(gzip.decompress((DATA / "kxhighny" / "trades" / "2025-03-15.json.gz").read_bytes()))
IDS = sorted(trade["trade_id"] for listed in TRADES.values() for trade in listed)


class Bench:
    """A recorder on a log in memory, with a budget that a test does not wait for."""

    def __init__(self, tmp_path, *, tier="prestige", threshold=0, open_s=0.0):
        self.path = tmp_path / "rest" / "checkpoint.json"
        self.log = MemoryLog()
        self.log.create({RAW_KALSHI_REST: {}}, 2)
        self.metrics = []
        self.tier, self.breaker = tier, Breaker(threshold, open_s)

    def said(self, name):
        """Fields of a metric's lines."""
        return [fields for metric, fields in self.metrics if metric == name]

    def records(self):
        """What stands on the log."""
        return [record for number in range(2) for record in self.log._topic(RAW_KALSHI_REST)[number]]

    def trades(self):
        """Facts that ingest reads in it."""
        outputs = ingest(RAW_KALSHI_REST, 0, 1, self.records())
        return [decode_fact(output.value) for output in outputs if output.topic == FACT_TRADE]

    async def run(self, url, *, series=("KXHIGHNY",), span=DAY, signer=None, **over):
        """One round of everything; the checkpoint afterwards."""
        door = Door(f"{url}/trade-api/v2", now_ns=wiring.now_ns, signer=signer)
        budget = Budget(self.tier, time.monotonic())
        asker = Asker(door, budget, self.breaker, rng=random.Random(1), on_metric=self._metric)
        appender = self.log.appender()
        publisher = Publisher(
            appender, topic=RAW_KALSHI_REST, partitions=2, source="kalshi.rest", conn="t", clock="wall"
        )
        recorder = Recorder(
            asker, publisher, appender, series,
            path=self.path, now_ns=wiring.now_ns, on_metric=self._metric, span=span, **over,
        )  # fmt: skip
        try:
            await recorder.run(asyncio.Event(), discovery_s=60, backfill_s=60, until_done=True)
        finally:
            await door.aclose()
        return recorder.checkpoint

    def _metric(self, name, **fields):
        self.metrics.append((name, fields))


def rehearse(tmp_path, bench, *, faults=None, cutoff=None, times=1, **options):
    """Run the recorder against the simulator; returns the checkpoint and the simulator's counters."""

    async def play():
        archive = Archive([DATA], **({} if cutoff is None else {"cutoff": cutoff}))
        async with running(
            [],
            state_folder=tmp_path / "keys",
            clock_ms=wiring.now_ms,
            archive=archive,
            rest_faults=faults,
        ) as simulator:
            if options.pop("signed", False):
                options["signer"] = Signer(simulator.key_id, simulator.private_key_path.read_bytes())
            for _ in range(times):
                checkpoint = await bench.run(simulator.http_url, **options)
            return checkpoint, simulator.counters

    return asyncio.run(play())


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
    gaps = [r for r in bench.records() if dict(r.headers)[H_KIND] == b"gap"]
    traded = {ticker for ticker, listed in TRADES.items() if listed}
    assert traded == {json.loads(gap.value)["market_ticker"] for gap in gaps}
    assert {"incomplete"} == {json.loads(gap.value)["kind"] for gap in gaps}


def test_a_dead_host_opens_the_breaker_and_ends_in_words(tmp_path):
    """The round is told as failed; the breaker's opening is a line of its own."""
    bench = Bench(tmp_path, threshold=3, open_s=0.01)
    checkpoint = asyncio.run(bench.run("http://127.0.0.1:1"))
    assert ({}, []) == (checkpoint.markets, bench.records())
    assert bench.said("rest.breaker")
    assert "attempts, the last" in bench.said("rest.failed")[0]["error"]


def test_the_stated_limit_is_never_exceeded(tmp_path):
    """The simulator's busiest second, at the pace of the basic tier."""
    bench = Bench(tmp_path, tier="basic")
    _, counters = rehearse(tmp_path, bench)
    assert counters.rest_per_second_max <= 20


def test_an_unknown_weather_series_is_a_named_error_before_anything_is_asked(tmp_path):
    """Its trades would stand under no station."""
    bench = Bench(tmp_path)
    with pytest.raises(StationUnresolved, match="series KXHIGHTXYZ"):
        asyncio.run(bench.run("http://127.0.0.1:1", series=("KXHIGHTXYZ",)))
    assert [] == bench.metrics


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
