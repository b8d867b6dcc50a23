"""A simulated day of all four upstreams through `tapefold up`: every fact once, every fault by name, no limit broken."""

import contextlib
import json
import re
import time

import pytest
from stack import ask
from world_stack import MODELS, SECRET, SERIES, STATIONS, SYMBOLS, Started, World, listens

from tapefold.local.state import free_port
from topics.units import NS_PER_HOUR, NS_PER_S

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SPEED = 1_200.0
AT = "2026-03-07T09:30:00Z"
AT_NS = 1_772_875_800 * NS_PER_S
END_NS = AT_NS + 54 * NS_PER_HOUR
FAULTS = """
[[fault]]
of = "kalshi.ws"
kind = "drop"
from = 2026-03-07T18:00:00Z
to = 2026-03-07T18:01:00Z

[[fault]]
of = "kalshi.ws"
kind = "duplicate"
from = 2026-03-07T20:00:00Z
to = 2026-03-07T22:00:00Z
share = 0.5

[[fault]]
of = "kalshi.ws"
kind = "cut"
from = 2026-03-08T02:00:00Z
to = 2026-03-08T03:00:00Z

[[fault]]
of = "kalshi.ws"
kind = "stall"
from = 2026-03-08T10:00:00Z
to = 2026-03-08T10:01:00Z
seconds = 8.0

[[fault]]
of = "kalshi.rest"
kind = "503"
from = 2026-03-07T22:00:00Z
to = 2026-03-08T00:00:00Z

[[fault]]
of = "kalshi.rest"
kind = "429"
from = 2026-03-08T06:00:00Z
to = 2026-03-08T08:00:00Z
share = 0.5

[[fault]]
of = "kalshi.rest"
kind = "truncate"
from = 2026-03-08T09:00:00Z
to = 2026-03-08T17:00:00Z
share = 0.2

[[fault]]
of = "kalshi.rest"
kind = "duplicate"
from = 2026-03-08T09:00:00Z
to = 2026-03-08T17:00:00Z
share = 0.3

[[fault]]
of = "kalshi.rest"
kind = "conflict"
from = 2026-03-08T16:00:00Z
to = 2026-03-08T23:00:00Z

[[fault]]
of = "kalshi.rest"
kind = "skew"
from = 2026-03-08T23:00:00Z
to = 2026-03-09T04:00:00Z
seconds = 600.0

[[fault]]
of = "kalshi.rest"
kind = "empty"
from = 2026-03-09T12:30:00Z
to = 2026-03-09T15:30:00Z
share = 0.3

[[fault]]
of = "iem"
kind = "503"
from = 2026-03-08T15:00:00Z
to = 2026-03-08T16:00:00Z

[[fault]]
of = "iem"
kind = "429"
from = 2026-03-08T17:00:00Z
to = 2026-03-08T18:00:00Z

[[fault]]
of = "iem"
kind = "empty"
from = 2026-03-07T18:00:00Z
to = 2026-03-07T22:00:00Z
share = 0.3

[[fault]]
of = "iem"
kind = "error"
from = 2026-03-08T09:00:00Z
to = 2026-03-08T15:00:00Z
share = 0.6

[[fault]]
of = "iem"
kind = "truncate"
from = 2026-03-08T04:00:00Z
to = 2026-03-08T09:00:00Z
share = 0.8

[[fault]]
of = "iem"
kind = "late"
from = 2026-03-08T00:00:00Z
to = 2026-03-08T01:30:00Z

[[fault]]
of = "iem"
kind = "missing"
from = 2026-03-08T06:00:00Z
to = 2026-03-08T07:30:00Z

[[fault]]
of = "iem"
kind = "duplicate"
from = 2026-03-07T12:00:00Z
to = 2026-03-07T13:30:00Z

[[fault]]
of = "iem"
kind = "conflict"
from = 2026-03-07T18:00:00Z
to = 2026-03-07T19:30:00Z

[[fault]]
of = "iem"
kind = "correction"
from = 2026-03-09T00:00:00Z
to = 2026-03-10T00:00:00Z

[[fault]]
of = "tws"
kind = "1101"
from = 2026-03-09T20:25:00Z
to = 2026-03-09T20:30:00Z

[[fault]]
of = "tws"
kind = "pacing"
from = 2026-03-09T20:05:00Z
to = 2026-03-09T20:15:00Z

[[fault]]
of = "tws"
kind = "silent"
from = 2026-03-09T20:15:00Z
to = 2026-03-09T20:20:00Z

[[fault]]
of = "webhook"
kind = "wrong"
from = 2026-03-08T12:00:00Z
to = 2026-03-08T18:00:00Z
share = 0.15

[[fault]]
of = "webhook"
kind = "old"
from = 2026-03-08T14:00:00Z
to = 2026-03-08T20:00:00Z
share = 0.15

[[fault]]
of = "webhook"
kind = "duplicate"
from = 2026-03-08T15:00:00Z
to = 2026-03-08T20:00:00Z
share = 0.3

[[fault]]
of = "webhook"
kind = "conflict"
from = 2026-03-08T15:00:00Z
to = 2026-03-08T20:00:00Z
share = 0.1

[[fault]]
of = "webhook"
kind = "unreadable"
from = 2026-03-08T15:00:00Z
to = 2026-03-08T20:00:00Z
share = 0.1

[[fault]]
of = "webhook"
kind = "skew"
from = 2026-03-08T16:00:00Z
to = 2026-03-08T16:40:00Z
seconds = -900.0

[[fault]]
of = "webhook"
kind = "slow"
from = 2026-03-08T12:00:00Z
to = 2026-03-08T22:00:00Z
count = 50
"""
DELIVERIES = 2_500


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The whole of it, once; the tables may be asked afterwards."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "faults.toml").write_text(FAULTS)
    world = World(folder / "faults.toml", pause_s=180.0)
    with contextlib.ExitStack() as processes:
        started = lambda one: processes.enter_context(contextlib.closing(one))  # noqa: E731  # all end with the block
        return play(world, folder / "state", started)


def play(world, state_dir, started):
    """Four simulators, the stack, and what an operator does on such a day."""
    port = free_port(state_dir.parent)
    upstreams = {
        "iem": started(world.iem(SPEED, AT)),
        "tws": started(world.tws(60.0, "2026-03-09T19:15:00Z")),
        "kalshi": started(world.kalshi(SPEED, state_dir.parent, rest_limit="20")),
    }
    environment = {
        **{name: value for one in upstreams.values() for name, value in one.variables().items()},
        "IEM_MODELS": ",".join(MODELS), "IEM_POLL_SECONDS": "900", "IEM_CLI_POLL_SECONDS": "900",
        "IEM_FAILURE_THRESHOLD": "0", "DISCOVERY_SECONDS": "15", "BACKFILL_SECONDS": "15", "WS_HEARTBEAT_SECONDS": "3",
        "REST_FAILURE_THRESHOLD": "0", "TWS_PACING_WINDOW_SECONDS": "5", "TWS_REQUEST_TIMEOUT_SECONDS": "2",
        "WEBHOOK_SECRET": SECRET, "WEBHOOK_PORT": str(port),
    }  # fmt: skip
    begun_s = time.monotonic()
    stack = started(Started("up", "--state-dir", str(state_dir), **environment))
    listens(port)
    sender = started(world.webhooks(port, DELIVERIES, SPEED, "2026-03-08T12:00:00Z"))
    time.sleep(max(0.0, begun_s + 52 - time.monotonic()))  # 20:07 by the simulated TWS
    tws = ("run", "tws", "--state-dir", str(state_dir))
    mine = {**environment, "TWS_CLIENT_ID": "18"}
    shots = [Started(*tws, *flags, **mine).done(120) for flags in (("--date", "2026-03-09"), *[("--backfill",)] * 2)]
    sent = json.loads(sender.done(180).splitlines()[-1])
    time.sleep(max(0.0, begun_s + (END_NS - AT_NS) / NS_PER_S / SPEED + 40 - time.monotonic()))
    stack.close()
    said = {name: "\n".join(one.closed().said) for name, one in upstreams.items()}
    return world, state_dir, said | {"shots": "\n".join(shots)}, sent


def test_every_trade_contract_outcome_and_candle_stands_once(played):
    """Trades are told twice or three times, cut off, doubled, contradicted: each is one row, and each of them is there."""
    world, state_dir, _, _ = played
    made = {t["trade_id"]: t["count_fp"] for trades in world.told("trades") for t in trades}
    found = ask(state_dir, "SELECT trade_id, toString(size) FROM tapefold_api.trades")
    assert len(found) == len({row[0] for row in found})
    assert {name: float(size) for name, size in made.items()} == {name: float(size) for name, size in found}
    final = {
        m["ticker"]: (m["result"], m["expiration_value"]) for m in world.told("market") if m["status"] == "finalized"
    }
    told = ask(state_dir, "SELECT market_ticker, result, expiration_value, final FROM tapefold_api.settlements")
    assert {ticker: (*said, True) for ticker, said in final.items()} == {row[0]: row[1:] for row in told}
    assert sorted(final) == sorted(row[0] for row in ask(state_dir, "SELECT market_ticker FROM tapefold_api.markets"))
    candles = [(one["ticker"], c["end_period_ts"]) for one in map(json.loads, (t.body for t in world.markets.told))
               if "candlesticks" in one for c in one["candlesticks"]]  # fmt: skip
    assert sorted(candles) == sorted(
        ask(state_dir, "SELECT market_ticker, toUnixTimestamp(event_at) FROM tapefold_api.candles")
    )


def test_what_the_socket_lost_lies_in_its_gaps(played):
    """Tickers come by the socket alone: those that are not there were sent while nobody could hear."""
    world, state_dir, _, _ = played
    made = {(m["market_ticker"], m["ts_ms"]) for m in world.frames("ticker")}
    found = ask(state_dir, "SELECT market_ticker, toUnixTimestamp64Milli(event_at) FROM tapefold_api.market_ticks")
    assert len(found) == len(set(found))
    assert set(found) <= made
    kinds = dict(ask(state_dir, "SELECT kind, count() FROM tapefold_api.gaps GROUP BY kind"))
    assert {"seq_hole", "disconnect", "stall"} <= set(kinds)
    lost = made - set(found)
    assert 0 < len(lost) < len(made) // 3


def test_every_forecast_and_report_stands_once_and_every_flaw_has_its_name(played):
    """Rows of all runs of the span, corrections beside what they corrected; runs that never came are absent by name."""
    world, state_dir, _, _ = played
    made, rows = set(), 0
    for station in STATIONS:
        for model in MODELS:
            for run in world.weather.runs(station, model, AT_NS, END_NS - 14 * NS_PER_HOUR):
                made |= {(station, model, r["runtime"], r["ftime"], r["tmp"]) for r in run.rows}
    told = ask(
        state_dir,
        "SELECT station, model, formatDateTime(run_at, '%Y-%m-%d %H:%i:%S'),"
        " formatDateTime(event_at, '%Y-%m-%d %H:%i:%S'), tmp_f FROM tapefold_api.forecasts",
    )
    rows = len(told)
    assert rows == len(set(told))
    assert made <= set(told)
    products = {
        one.name for station in STATIONS for one in world.weather.products(station, AT_NS, END_NS - NS_PER_HOUR)
    }
    reports = ask(state_dir, "SELECT product, count() FROM tapefold_api.climate GROUP BY product")
    assert products <= {name for name, _ in reports}
    assert {1} == {count for _, count in reports}
    assert any(name.endswith("-CCA") for name in products)
    reasons = {row[0] for row in ask(state_dir, "SELECT DISTINCT reason FROM tapefold_api.forecast_runs")}
    assert {None, "absent", "throttled", "truncated", "upstream_error"} <= reasons
    absent = ask(
        state_dir,
        "SELECT DISTINCT model, formatDateTime(run_at, '%Y-%m-%d %H:%i') FROM tapefold_api.forecast_runs"
        " GROUP BY station, model, run_at HAVING countIf(reason IS NULL) = 0 AND countIf(reason = 'absent') > 0",
    )
    assert ("GFS", "2026-03-08 06:00") in absent


def test_every_bar_stands_once_and_every_failure_of_tws_is_told(played):
    """Live and fetched again: one finished minute each."""
    world, state_dir, said, _ = played
    made = {(c.symbol, bar.start_s) for c in world.bars.contracts.values() for bar in c.bars}
    found = ask(state_dir, "SELECT symbol, toUnixTimestamp(minute) FROM tapefold_api.curated_tws_1m_bars")
    assert sorted(made) == sorted(found), said["shots"]
    days = "SELECT DISTINCT toString(toDate(known_at)) FROM tapefold_api.raw_tws_bars"
    assert {"2026-03-09"} == {day for (day,) in ask(state_dir, days)}, "known on the simulated day, by TWS_TAPE"
    codes = {row[0] for row in ask(state_dir, "SELECT DISTINCT code FROM tapefold_api.tws_errors")}
    codes |= {row[0] for row in ask(state_dir, "SELECT DISTINCT code FROM tapefold_api.tws_outages")}
    assert {1100, 162} <= codes, (codes, said["shots"])


def test_every_webhook_that_was_acknowledged_stands_once(played):
    """Wrong and old signatures are not there, other content of a known id is dead."""
    _, state_dir, _, sent = played
    assert (0, 0) == (sent["unexpected"], sent["given_up"])
    kinds = {name.split()[0] for name in sent["answers"]}
    assert {"honest", "wrong", "old", "duplicate", "conflict", "unreadable"} <= kinds
    found = ask(state_dir, "SELECT event_id, count() FROM tapefold_api.webhooks GROUP BY event_id")
    assert {1} == {count for _, count in found}
    assert sent["answers"]["honest 200"] == len(found)


def test_every_refusal_has_its_reason(played):
    """Conflicts of REST and of webhooks, answers that broke off, bodies that are no JSON; and nothing else."""
    _, state_dir, _, _ = played
    reasons = set(ask(state_dir, "SELECT DISTINCT cause_topic, reason FROM tapefold_api.dead"))
    assert {
        ("raw.kalshi.rest", "conflict"), ("raw.kalshi.rest", "not_json"), ("raw.kalshi.rest", "bad_status"),
        ("raw.iem.mos", "bad_value"), ("raw.iem.cli", "bad_value"),
        ("raw.webhook", "conflict"), ("raw.webhook", "not_json"),
    } == reasons - {("raw.kalshi.rest", "missing_field")}  # fmt: skip  # an empty answer to a question for one market


def test_no_limit_of_any_upstream_was_exceeded(played):
    """Requests as the simulators saw them: in any second, at once, and by TWS's own rules."""
    _, _, said, _ = played
    assert int(re.search(r"rest_per_second_max=(\d+)", said["kalshi"])[1]) <= 20
    assert int(re.search(r"most=(\d+)", said["iem"])[1]) <= 1
    assert int(re.search(r"violations=(\d+)", said["tws"])[1]) == 0
    assert int(re.search(r"open_max=(\d+)", said["tws"])[1]) <= 3 + 2 * len(SYMBOLS)
    assert SERIES[0] in said["kalshi"]
