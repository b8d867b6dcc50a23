"""kill -9, of each part and of all at once, while the recording runs: the tables of an undisturbed run."""

import json
import os
import random
import signal
import time

import pytest
from stack import CONTENT_HASHES, ask, differences, kill_all, run_up, start_up

from tapefold.simulators.kalshi.world import made_up_lines

FRAMES = 40_000
PARTS = ("ingest", "fold", "sink", "store")


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """A made-up recording, long enough to be killed in."""
    path = tmp_path_factory.mktemp("frames") / "world.ndjson"
    path.write_bytes(b"\n".join(made_up_lines(seed=5, frames=FRAMES)))
    return path


@pytest.fixture(scope="module")
def undisturbed(frames, tmp_path_factory):
    """Hashes of the contents of trades and bars after a run that nobody disturbed, and the number of raw records."""
    state_dir = tmp_path_factory.mktemp("undisturbed")
    run_up(frames, state_dir)
    return ask(state_dir, CONTENT_HASHES), ask(state_dir, "SELECT count() FROM tapefold.raw_records")


def lasting(frames, seconds):
    """The speed at which a recording lasts so long."""
    lines = frames.read_bytes().splitlines()
    first, last = (json.loads(line)["recv_ms"] for line in (lines[0], lines[-1]))
    return str((last - first) / 1000 / seconds)


def pid_of(state_dir, part):
    """The process of a part, None while it does not run."""
    try:
        if part == "store":
            process = json.loads((state_dir / "store" / "runtime.json").read_text())["process"]
            return None if process is None else process["pid"]
        return json.loads((state_dir / "services.json").read_text()).get(part)
    except FileNotFoundError:
        return None


def kill(state_dir, part):
    """Kill -9 one part if it runs; says whether it did."""
    pid = pid_of(state_dir, part)
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def test_killing_each_part_changes_nothing(frames, undisturbed, tmp_path):
    """Agents, sink and store killed in turn while the producer runs on: equal trades, bars and raw records."""
    process = start_up(frames, tmp_path, "--speed", lasting(frames, 10))
    while not (tmp_path / "ws" / "0" / "journal.json").exists():  # the recorder's journal: it records
        time.sleep(0.1)
    for part in PARTS:
        time.sleep(2.0)
        assert kill(tmp_path, part), f"{part} did not run"
    output, _ = process.communicate(timeout=150)
    assert process.returncode == 0, output
    assert [] == differences(tmp_path, frames)
    hashes, raw = undisturbed
    assert hashes == ask(tmp_path, CONTENT_HASHES)
    assert raw == ask(tmp_path, "SELECT count() FROM tapefold.raw_records")


def test_a_store_killed_while_the_stack_starts_is_started_again(frames, undisturbed, tmp_path):
    """Once while it opens its folder, once while its tables are made: `up` goes on."""
    process = start_up(frames, tmp_path)
    killed = set()
    for pause_s in (0.0, 0.5):
        while (pid := pid_of(tmp_path, "store")) is None or pid in killed:
            time.sleep(0.02)
        time.sleep(pause_s)
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
    output, _ = process.communicate(timeout=150)
    assert process.returncode == 0, output
    said = " ".join(output.split())  # the screen breaks lines
    begun_again = ("store died while it started", "migrate: begins again", "store died and is started again")
    assert sum(said.count(each) for each in begun_again) >= len(killed)
    assert undisturbed[0] == ask(tmp_path, CONTENT_HASHES)


def test_killing_everything_and_starting_again_gives_the_same_rows(frames, tmp_path):
    """All processes killed at once; `up` on the same frames gives the same trades and bars, and tells of the crash."""
    process = start_up(frames, tmp_path, "--speed", lasting(frames, 10))
    while not (tmp_path / "ws" / "0" / "journal.json").exists():  # the recorder's journal: it records
        time.sleep(0.1)
    time.sleep(3.0)
    kill_all(process)
    run_up(frames, tmp_path)
    assert [] == differences(tmp_path, frames)
    assert {("crash",)} == set(ask(tmp_path, "SELECT kind FROM tapefold_api.gaps"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_twenty_random_kills_on_recorded_production_frames(recordings, tmp_path, seed):
    """Random parts at random moments, on 800,000 real frames."""
    rng = random.Random(seed)
    process = start_up(recordings, tmp_path)
    kills = 0
    while process.poll() is None:
        time.sleep(rng.uniform(1.0, 4.0))
        if kills < 20:
            kills += kill(tmp_path, rng.choice(PARTS))
    assert process.returncode == 0, process.communicate()[0]
    assert kills > 0
    assert [] == differences(tmp_path, recordings)
    assert [(0, 0)] == ask(
        tmp_path, "SELECT (SELECT count() FROM tapefold_api.gaps), (SELECT count() FROM tapefold_api.dead)"
    )
