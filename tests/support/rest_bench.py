"""The REST recorder on a log in memory, against the simulator; and a door whose answers are altered on the way."""

import asyncio
import gzip
import json
import random
import time
from pathlib import Path

from producers.backoff import Breaker
from producers.kalshi.auth import Signer
from producers.kalshi.rest.asker import Asker
from producers.kalshi.rest.budget import Budget
from producers.kalshi.rest.door import Door
from producers.kalshi.rest.recorder import Recorder, Span
from producers.publish import Publisher
from stream_processors.ingest import ingest
from tapefold import wiring
from tapefold.simulators.kalshi.archive import Archive
from tapefold.simulators.kalshi.running import running
from topics.catalog import DEAD, FACT_TRADE, H_KIND, RAW_KALSHI_REST
from topics.codec import decode_dead, decode_fact, decode_gap_notice
from topics.log import MemoryLog

DATA = Path(__file__).resolve().parents[1] / "data" / "kalshi-rest" / "cpratim"
DAY = Span(1_741_996_800, 1_742_256_000)  # closes of 2025-03-15 to 03-17
TRADES = json.loads(gzip.decompress((DATA / "kxhighny" / "trades" / "2025-03-15.json.gz").read_bytes()))
TRADED = {ticker for ticker, listed in TRADES.items() if listed}
IDS = sorted(trade["trade_id"] for listed in TRADES.values() for trade in listed)


class Bench:
    """A recorder on a log in memory, with a budget that a test does not wait for."""

    def __init__(self, tmp_path, *, tier="prestige", threshold=0, open_s=0.0):
        self.path = tmp_path / "rest" / "checkpoint.json"
        self.log, self.log_id = MemoryLog(), "memory"
        self.log.create({RAW_KALSHI_REST: {}}, 2)
        self.metrics = []
        self.tier, self.breaker = tier, Breaker(threshold, open_s)
        self.door = Door

    def said(self, name):
        """Fields of a metric's lines."""
        return [fields for metric, fields in self.metrics if metric == name]

    def stood(self):
        """What stands on the log."""
        return [record for number in range(2) for record in self.log._topic(RAW_KALSHI_REST)[number]]

    def records(self, kind=b"frame"):
        """Those of one kind."""
        return [record for record in self.stood() if dict(record.headers)[H_KIND] == kind]

    def refusals(self):
        """Reasons of what ingest refuses in it."""
        outputs = ingest(RAW_KALSHI_REST, 0, 1, self.stood())
        return {decode_dead(output.value).reason for output in outputs if output.topic == DEAD}

    def gaps(self):
        """(subject, channel) of what is told to be incomplete."""
        told = [decode_gap_notice(record.value) for record in self.records(b"gap")]
        assert {"incomplete"} >= {gap.kind for gap in told}
        return {(gap.market_ticker, gap.channel) for gap in told}

    def trades(self):
        """Facts that ingest reads in it."""
        outputs = ingest(RAW_KALSHI_REST, 0, 1, self.records())
        return [decode_fact(output.value) for output in outputs if output.topic == FACT_TRADE]

    async def run(self, url, *, series=("KXHIGHNY",), span=DAY, signer=None, rounds=None, **over):
        """One round of everything; the checkpoint afterwards."""
        door = self.door(f"{url}/trade-api/v2", now_ns=wiring.now_ns, signer=signer)
        budget = Budget(self.tier, time.monotonic())
        asker = Asker(door, budget, self.breaker, rng=random.Random(1), on_metric=self._metric)
        appender = self.log.appender()
        publisher = Publisher(
            appender, topic=RAW_KALSHI_REST, partitions=2, source="kalshi.rest", conn="t", clock="wall"
        )
        recorder = Recorder(
            asker, publisher, appender, series,
            path=self.path, log_id=self.log_id, now_ns=wiring.now_ns, on_metric=self._metric, span=span, **over,
        )  # fmt: skip
        try:
            if rounds is None:
                await recorder.run(asyncio.Event(), discovery_s=60, backfill_s=60, until_done=True)
            else:
                await rounds(recorder)
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


class Altering(Door):
    """The real door, whose answers are altered on the way. alter: (path, body) -> body."""

    alter = None

    async def get(self, path):
        """As it comes, but altered."""
        answer = await super().get(path)
        return answer._replace(body=type(self).alter(path, answer.body))


def altering(alter):
    """Doors whose answers are altered."""
    return type("Altered", (Altering,), {"alter": staticmethod(alter)})


def without(path_part, name):
    """Answers to such paths lack the field."""

    def alter(path, body):
        if path_part not in path:
            return body
        said = json.loads(body)
        said.pop(name, None)
        return json.dumps(said).encode()

    return alter


def naming(subject, code):
    """Answers in which the rules of one market, or the settlement source of one series, name another report."""

    def alter(path, body):
        said = json.loads(body)
        if path.startswith("/series/") and said.get("series", {}).get("ticker") == subject:
            url = f"https://forecast.weather.gov/product.php?site=OKX&product=CLI&issuedby={code}"
            said["series"]["settlement_sources"] = [{"name": "NWS", "url": url}]
        for market in said.get("markets", []):
            if market["ticker"] == subject:
                market["rules_primary"] = f"the Climatological Report (CLI{code}) of the National Weather Service"
        return json.dumps(said).encode()

    return altering(alter)
