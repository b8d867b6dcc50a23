"""A made-up month of IEM through the real log, agents and store: every fact in its table once, every fault by name."""

import os
import subprocess
import sys
import time

import pytest
from stack import ask

from tapefold.simulators.iem.generated import Chances, Generated
from topics.iem import scheduled
from topics.units import NS_PER_DAY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

S = 10**9
START = 1_772_841_600 * S  # 2026-03-07 00:00Z; the clocks change the day after
SPAN = (START - 12 * NS_PER_DAY, START - 2 * NS_PER_DAY)
STATIONS, MODELS = ("KMIA", "KNYC"), ("GFS", "NBS")
CHANCES = {"missing": 0.1, "duplicate": 0.2, "conflict": 0.2, "correction": 0.3}
FAULTS = ("503:0.05", "429:0.03", "error:0.05", "truncate:0.05", "cut:0.03")


def started(*arguments, ready, **environment):
    """A command that prints `ready` before it goes on; returns it and what it printed until then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tapefold", *arguments],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if ready in line:
            return process, said
    raise AssertionError("".join(said))


def ended(process):
    process.terminate()
    process.communicate(timeout=60)


def generated():
    """(station, model, run, valid, tmp) of all that the world has, and its products."""
    world = Generated(STATIONS, seed=5, chances=Chances(**CHANCES))
    rows = {
        (station, model, row["runtime"], row["ftime"], row["tmp"])
        for station in STATIONS
        for model in MODELS
        for run in world.runs(station, model, SPAN[0], SPAN[1] - 1)
        for row in run.rows
    }
    first_ns = 1_767_225_600 * S  # 2026-01-01
    products = {one.name: one.row["high"] for name in STATIONS for one in world.products(name, first_ns, START)}
    return rows, products


def test_every_generated_fact_is_in_its_table_once_and_every_fault_has_its_name(tmp_path):
    """History of ten days and of the year's reports, while every fifth answer fails in one of five ways."""
    stack, _ = started("up", "--state-dir", str(tmp_path), ready="no upstream", IEM_STATIONS="")
    flags = [part for name, chance in CHANCES.items() for part in (f"--{name}", str(chance))]
    flags += [part for fault in FAULTS for part in ("--fault", fault)]
    flags += ["--limit-per-second", "2", "--seed", "5", "--at", "2026-03-07", "--speed", "1000"]
    simulator, said = started("simulate", "iem", "--make-up", ",".join(STATIONS), *flags, ready="IEM_TAPE")
    try:
        settings = dict(line.strip().split("=", 1) for line in said if "=" in line)
        settings |= {"IEM_MODELS": ",".join(MODELS), "IEM_FAILURE_THRESHOLD": "0", "TAPEFOLD_STATE_DIR": str(tmp_path)}
        span = ("--from", "2026-02-23", "--to", "2026-03-04")
        done = subprocess.run(
            [sys.executable, "-m", "tapefold", "run", "iem", "--no-live", "--until-done", *span],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert 0 == done.returncode, done.stderr[-2_000:]
        assert "given up" not in done.stderr
        rows, products = generated()
        told = wait_for(tmp_path, len(rows))
        assert rows == set(told)
        assert len(rows) == len(told)
        reports = ask(tmp_path, "SELECT product, max(high_f), count() FROM tapefold_api.climate GROUP BY product")
        assert {(name, high, 1) for name, high in products.items()} <= set(reports)
        check_runs(tmp_path)
        reasons = {row[0] for row in ask(tmp_path, "SELECT DISTINCT reason FROM tapefold_api.forecast_runs")}
        named = {
            "absent",
            "throttled",
            "upstream_error",
            "truncated",
            "partial",
        }  # partial: cut off at the end of a line
        assert {None, *named} >= reasons >= {None, "absent", "throttled"}
    finally:
        simulator.terminate()
        counters = simulator.communicate(timeout=60)[0]
        ended(stack)
    assert "most=1" in counters or "most=2" in counters, counters


def wait_for(state_dir, count):
    """All rows of the table, once there are so many, or after a minute."""
    for _ in range(60):
        told = ask(
            state_dir,
            "SELECT station, model, formatDateTime(run_at, '%Y-%m-%d %H:%i:%S'),"
            " formatDateTime(event_at, '%Y-%m-%d %H:%i:%S'), tmp_f FROM tapefold_api.forecasts",
        )
        if len(told) >= count:
            break
        time.sleep(1)
    return told


def check_runs(state_dir):
    """Each run of the calendar is whole, or named absent and nothing else than failures."""
    world = Generated(STATIONS, seed=5, chances=Chances(**CHANCES))
    there = {(s, m, run.run_ns) for s in STATIONS for m in MODELS for run in world.runs(s, m, SPAN[0], SPAN[1] - 1)}
    promised = {(s, m, run) for s in STATIONS for m in MODELS for run in scheduled(m, SPAN[0], SPAN[1] - 1)}
    told = ask(
        state_dir,
        "SELECT station, model, toUnixTimestamp64Nano(run_at), countIf(reason IS NULL), countIf(reason = 'absent')"
        " FROM tapefold_api.forecast_runs GROUP BY 1, 2, 3",
    )
    assert promised == {row[:3] for row in told}
    assert there == {row[:3] for row in told if row[3]}
    assert promised - there == {row[:3] for row in told if not row[3] and row[4]}
