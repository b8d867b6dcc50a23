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
    run("up", "--archive", DAY, "--once", "--state-dir", tmp_path)
    assert len(ids) == ask(tmp_path, "SELECT count() FROM tapefold_api.trades")[0][0]
    assert rev == ask(tmp_path, "SELECT sum(rev), count() FROM tapefold_api.bars_1m")
