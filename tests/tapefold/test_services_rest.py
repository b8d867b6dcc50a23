"""`tapefold run rest --until-done` as a process does it, on a log in memory: what its manifests say is what stands there."""

import asyncio
import contextlib
import json
import threading

import pytest
from rest_bench import DATA, DAY, TRADES

from tapefold import services_rest, wiring
from tapefold.services_rest import Asked
from tapefold.settings import Settings
from tapefold.simulators.kalshi.archive import Archive
from tapefold.simulators.kalshi.running import running
from topics.catalog import H_KIND, RAW_KALSHI_REST, RAW_KALSHI_WS
from topics.domains import series_of
from topics.log import MemoryLog
from topics.stations import StationUnresolved


@contextlib.contextmanager
def simulated(folder):
    """The simulator in a thread of its own; yields its address."""
    url, ready, stop = [], threading.Event(), threading.Event()

    async def serve():
        async with running([], state_folder=folder, clock_ms=wiring.now_ms, archive=Archive([DATA])) as simulator:
            url.append(simulator.http_url)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    try:
        yield url[0]
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run it; returns the manifest that it left, and the frames that it appended."""
    log = MemoryLog()
    log.create({RAW_KALSHI_REST: {}, RAW_KALSHI_WS: {}}, 2)
    monkeypatch.setattr(services_rest.mock, "look_for", lambda *_: None)
    monkeypatch.setattr(services_rest, "own", lambda _: None)
    monkeypatch.setattr(wiring, "open_log", lambda *_: log)
    seen: set[str] = set()

    def frames():
        stood = [record for number in range(2) for record in log._topic(RAW_KALSHI_REST)[number]]
        return [record for record in stood if dict(record.headers)[H_KIND] == b"frame"]

    def play(series="KXHIGHNY", *, leave_out=False):
        before = len(frames())
        with simulated(tmp_path / "keys") as url:
            settings = Settings(kalshi_rest_url=f"{url}/trade-api/v2", kalshi_series=series, rest_tier="prestige")
            try:
                services_rest.run_rest(settings, tmp_path, Asked(DAY, True, leave_out))
            finally:
                names = {path.name: path for path in tmp_path.glob("_state/manifests/run_*.json")}
                (new,) = names.keys() - seen
                seen.add(new)
                play.manifest = json.loads(names[new].read_bytes())
        return play.manifest, frames()[before:]

    return play


def test_the_manifest_counts_what_stands_on_the_log(run):
    """By series; a run that repeats finds the day done, and is another manifest with fewer records."""
    first, frames = run()
    keys = [None if record.key is None else series_of(record.key.decode()) for record in frames]
    assert {name: entity["records"] for name, entity in first["entities"].items()} == {
        "*": keys.count(None),
        "KXHIGHNY": keys.count("KXHIGHNY"),
        "HIGHNY": keys.count("HIGHNY"),
    }
    entity = first["entities"]["KXHIGHNY"]
    assert entity["bytes"] == sum(len(record.value) for record in frames if record.key and b"KXHIGHNY" in record.key)
    assert (len(TRADES), len(TRADES) + 1) == (entity["metrics"]["rest.backfill"], entity["sums"]["pages"])
    assert ("success", "KXHIGHNY", "True") == (
        first["status"], first["inputs"]["series"], first["inputs"]["until_done"],
    )  # fmt: skip
    again, more = run()
    assert 0 < again["entities"]["KXHIGHNY"]["records"] < entity["records"]
    assert sum(one["records"] for one in again["entities"].values()) == len(more)


def test_a_run_that_is_refused_leaves_its_reason(run):
    """And one that leaves out says so by number."""
    with pytest.raises(StationUnresolved):
        run("KXHIGHNY,KXHIGHTXYZ")
    refused = run.manifest
    assert ("failed", True) == (refused["status"], refused["reason"].startswith("StationUnresolved: series KXHIGHTXYZ"))
    told, _ = run("KXHIGHNY,KXHIGHTXYZ", leave_out=True)
    assert ("success", 1) == (told["status"], told["entities"]["KXHIGHTXYZ"]["gaps"])
    assert 1 == told["metrics"]["rest.unresolved"]
