"""REST as a user runs it: recorded answers through the API's simulator, the log, the agents and the store."""

import gzip
import json
import os
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
from stack import ask

DAY = Path(__file__).parent / "data" / "kalshi-rest" / "cpratim"
TRADES = json.loads(gzip.decompress((DAY / "kxhighny" / "trades" / "2025-03-15.json.gz").read_bytes()))
EVENT = json.loads(gzip.decompress((DAY / "kxhighny" / "events" / "2025-03-15.json.gz").read_bytes()))


def run(*arguments, **environment):
    """`tapefold ...`; fails with its output on another exit code than 0."""
    command = [sys.executable, "-m", "tapefold", *map(str, arguments)]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())  # lines are broken at the terminal's width


def manifest(folder):
    """Of the latest good run of REST."""
    latest = folder / "_state" / "manifests" / "_latest" / "rest.json"
    return json.loads((latest.parent / json.loads(latest.read_bytes())["manifest"]).read_bytes())


def bars():
    """(market, minute) -> open, high, low, close, volume, trades, computed from the file alone."""
    minutes = defaultdict(list)
    for ticker, trades in TRADES.items():
        for trade in trades:
            minutes[ticker, trade["created_time"][:16]].append(
                (trade["created_time"][:23].ljust(23, "0"), trade["trade_id"], trade["yes_price"], trade["count"])
            )
    return {
        key: (
            Decimal(min(told)[2]) / 100, Decimal(max(t[2] for t in told)) / 100, Decimal(min(t[2] for t in told)) / 100,
            Decimal(max(told)[2]) / 100, sum(t[3] for t in told), len(told),
        )
        for key, told in minutes.items()
    }  # fmt: skip


@pytest.mark.timeout(300)
def test_a_recorded_day_over_rest_is_in_the_tables_exactly(tmp_path):
    """Trades, bars, contracts and outcomes against the files; every answer in bronze; nothing refused; a rerun adds none."""
    run("up", "--archive", DAY, "--once", "--state-dir", tmp_path)
    assert [(0,)] == ask(tmp_path, "SELECT count() FROM tapefold_api.dead")
    ids = sorted(trade["trade_id"] for listed in TRADES.values() for trade in listed)
    assert ids == sorted(row[0] for row in ask(tmp_path, "SELECT trade_id FROM tapefold_api.trades"))
    found = {
        (ticker, minute): tuple(values)
        for ticker, minute, *values in ask(
            tmp_path,
            "SELECT market_ticker, formatDateTime(minute, '%Y-%m-%dT%H:%i'), open, high, low, close, volume, trades"
            " FROM tapefold_api.bars_1m WHERE trades > 0",
        )
    }
    assert bars() == found
    assert sorted((m["ticker"], m["result"], m["expiration_value"], True) for m in EVENT["markets"]) == ask(
        tmp_path, "SELECT market_ticker, result, expiration_value, final FROM tapefold_api.settlements ORDER BY 1"
    )
    assert [("2025-03-15", "KNYC", "nws", 6)] == ask(
        tmp_path,
        "SELECT climate_day, station, settlement_source, count() FROM tapefold_api.markets GROUP BY 1, 2, 3",
    )
    rev = ask(tmp_path, "SELECT sum(rev), count() FROM tapefold_api.bars_1m")
    first = manifest(tmp_path)
    raw = "SELECT count() FROM tapefold_api.raw_records WHERE _topic = 'raw.kalshi.rest' AND _headers['kind'] = 'frame'"
    assert ask(tmp_path, raw) == [(sum(entity["records"] for entity in first["entities"].values()),)]
    assert ("success", {"ended": True, "nothing_given_up": True, "whole": False}) == (
        first["status"], {check["name"]: check["ok"] for check in first["checks"]},
    )  # fmt: skip
    run("up", "--archive", DAY, "--once", "--state-dir", tmp_path)
    assert first["entities"]["KXHIGHNY"]["records"] > manifest(tmp_path)["entities"]["KXHIGHNY"]["records"] > 0
    assert len(ids) == ask(tmp_path, "SELECT count() FROM tapefold_api.trades")[0][0]
    assert rev == ask(tmp_path, "SELECT sum(rev), count() FROM tapefold_api.bars_1m")


def odd(folder, ticker):
    """The recorded day, in which the rules of one market name another station, beside a market of a series nobody knows."""
    for part in ("events", "trades"):
        for path in (DAY / "kxhighny" / part).glob("2025-03-15*"):
            told = json.loads(gzip.decompress(path.read_bytes()))
            if part == "events":
                market = next(market for market in told["markets"] if market["ticker"] == ticker)
                market["rules_primary"] = "as the Climatological Report (CLILGA) of the National Weather Service says"
            for name, content in (("kxhighny", told), ("kxhightxyz", renamed(told))):
                (folder / name / part).mkdir(parents=True, exist_ok=True)
                (folder / name / part / path.name).write_bytes(gzip.compress(json.dumps(content).encode()))
    return folder


def renamed(told):
    """The same of another series."""
    return json.loads(json.dumps(told).replace("KXHIGHNY", "KXHIGHTXYZ"))


@pytest.mark.timeout(300)
def test_what_has_no_station_is_left_out_and_the_day_drains(tmp_path):
    """A market of another station, and a series that the registry does not know: each named, all others whole."""
    ticker = max(TRADES, key=lambda name: len(TRADES[name]))
    state = tmp_path / "state"
    said = run("up", "--archive", odd(tmp_path / "archive", ticker), "--once", "--state-dir", state)
    ids = sorted(trade["trade_id"] for name, listed in TRADES.items() if name != ticker for trade in listed)
    assert ids == sorted(row[0] for row in ask(state, "SELECT trade_id FROM tapefold_api.trades"))
    gaps = ask(state, "SELECT market_ticker, channel FROM tapefold_api.gaps WHERE kind = 'incomplete'")
    assert f"open gaps: {len(gaps)} incomplete (each in tapefold_api.gaps)" in said
    [(refused,)] = ask(state, "SELECT count() FROM tapefold_api.dead")
    assert f"refused: {refused:,} conflict (each in tapefold_api.dead)" in said
    assert {(ticker, "trade"), ("KXHIGHTXYZ", "listing")} <= set(gaps)
    assert [("conflict",)] == ask(state, "SELECT DISTINCT reason FROM tapefold_api.dead")
    lines = [json.loads(line) for line in (state / "logs" / "rest.log").read_text().splitlines() if '"metric"' in line]
    named = [line["subject"] for line in lines if line["metric"] == "rest.unresolved"]
    assert ["KXHIGHTXYZ", ticker] == named
