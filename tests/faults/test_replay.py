"""Replay = live on a simulated day of all upstreams whose agents were killed again and again: no row differs, at any pace."""

import contextlib
import json
import os
import random
import signal
import time

import pytest
from stack import ask
from world_stack import MODELS, SECRET, Started, World, listens

from tapefold.local.state import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]

SPEED = 900.0
AT = "2026-03-07T22:00:00Z"
DAY_S = 24 * 3_600 / SPEED
KILLS = 20
AGENTS = ("ingest", "fold")
FAULTS = """
[[fault]]
of = "kalshi.ws"
kind = "drop"
from = 2026-03-08T02:00:00Z
to = 2026-03-08T02:01:00Z

[[fault]]
of = "kalshi.ws"
kind = "cut"
from = 2026-03-08T12:00:00Z
to = 2026-03-08T13:00:00Z

[[fault]]
of = "kalshi.ws"
kind = "duplicate"
from = 2026-03-08T06:00:00Z
to = 2026-03-08T08:00:00Z
share = 0.5
"""


def kill(state_dir, agent):
    """Kill -9 an agent; says whether it ran."""
    pids = json.loads((state_dir / "services.json").read_text())
    with contextlib.suppress(ProcessLookupError):
        if agent in pids:
            os.kill(pids[agent], signal.SIGKILL)
            return True
    return False


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A day of four simulators through the whole stack, its agents killed twenty times; then a stack without upstream."""
    folder = tmp_path_factory.mktemp("day")
    state_dir, port = folder / "state", free_port(folder)
    (folder / "faults.toml").write_text(FAULTS)
    world = World(folder / "faults.toml", pause_s=60.0)
    rng = random.Random(11)
    with contextlib.ExitStack() as processes:
        started = lambda one: processes.enter_context(contextlib.closing(one))  # noqa: E731  # all end with the block
        upstreams = [
            started(world.iem(SPEED, AT)),
            started(world.tws(60.0, "2026-03-09T14:00:00Z")),
            started(world.kalshi(SPEED, folder)),
        ]
        environment = {
            **{name: value for one in upstreams for name, value in one.variables().items()},
            "IEM_MODELS": ",".join(MODELS), "IEM_POLL_SECONDS": "900", "IEM_CLI_POLL_SECONDS": "900",
            "IEM_FAILURE_THRESHOLD": "0", "DISCOVERY_SECONDS": "15", "BACKFILL_SECONDS": "15",
            "REST_FAILURE_THRESHOLD": "0", "WEBHOOK_SECRET": SECRET, "WEBHOOK_PORT": str(port),
        }  # fmt: skip
        stack = started(Started("up", "--state-dir", str(state_dir), **environment))
        listens(port)
        begun_s = time.monotonic()
        started(world.webhooks(port, 2_000, SPEED, AT))
        kills = 0
        while time.monotonic() < begun_s + DAY_S or kills < KILLS:
            time.sleep(rng.uniform(0.4, 2 * DAY_S / KILLS - 3.0))
            kills += kills < KILLS and kill(state_dir, rng.choice(AGENTS))
        assert kills == KILLS
        stack.close()
    with contextlib.closing(Started("up", "--state-dir", str(state_dir)).until("no upstream")):
        yield state_dir


def replay(state_dir, *flags):
    """A replay with --check, under way."""
    return Started("replay", "--check", "--state-dir", str(state_dir), *flags)


def test_no_row_differs_at_any_pace(lived):
    """As fast as can be; and two minutes at its own time and at a hundred times it, each in a generation of its own."""
    said = replay(lived, "--generation", "full").done(500)
    assert said.endswith("\n0 differing rows"), said
    tables = {line.split()[0]: int(line.split()[1].replace(",", "")) for line in said.splitlines() if " rows  " in line}
    busy = {"trades", "bars_1m", "books", "forecasts", "climate", "mos_asof", "webhook_events", "raw_tws_bars", "gaps"}
    assert not {name for name in busy if not tables[name]}, tables
    ((hour,),) = ask(
        lived,
        "SELECT formatDateTime(toStartOfHour(quantileExact(0.5)(received_at)), '%Y-%m-%dT%H') FROM tapefold_api.trades",
    )
    paces = [
        replay(lived, "--generation", "own", "--speed", "1", "--from", f"{hour}:10Z", "--to", f"{hour}:12Z"),
        replay(
            lived,
            "--generation",
            "fast",
            "--speed",
            "100",
            "--from",
            f"{hour}:00Z",
            "--to",
            f"{three_hours_on(hour)}:20Z",
        ),
    ]
    begun_s = time.monotonic()
    for pace, told in zip(paces, (" at 1x", " at 100x"), strict=True):
        said = pace.done(500)
        assert told in said
        assert said.endswith("\n0 differing rows"), said
    assert time.monotonic() - begun_s > 120


def three_hours_on(hour):
    """The hour three hours on: 200 minutes at a hundred times are two minutes."""
    date, number = hour.split("T")
    assert int(number) < 21, hour
    return f"{date}T{int(number) + 3:02}"
