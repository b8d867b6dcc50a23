"""A simulated day of all four upstreams through `tapefold up`: every fact once, every fault by name, no limit broken."""

import bisect
import contextlib
import json
import re
import time

import pytest
from stack import ask
from world_faults import FAULTS, NAMES, SCENARIO, Played, unnamed
from world_stack import MODELS, SECRET, SERIES, STATIONS, SYMBOLS, Started, World, listens

from tapefold import wiring
from tapefold.local.state import free_port
from topics.units import NS_PER_HOUR, NS_PER_S

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SPEED, TWS_SPEED = 1_200.0, 30.0  # a one-shot of TWS takes 12 s to start on such a day
PACED_NS = 1_773_086_460 * NS_PER_S  # 2026-03-09T20:01Z, when TWS says that it is asked too fast
AT = "2026-03-07T09:30:00Z"
AT_NS = 1_772_875_800 * NS_PER_S
END_NS = AT_NS + 54 * NS_PER_HOUR
DAYS_NS = 72 * NS_PER_HOUR
DELIVERIES = 2_500
HEARD = " UNION DISTINCT ".join(
    f"SELECT toUnixTimestamp64Milli(event_at) AS ms FROM tapefold_api.{table} WHERE cause_topic = 'raw.kalshi.ws'"
    for table in ("market_ticks", "trades", "books", "market_events")
)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The whole of it, once; the tables may be asked afterwards."""
    folder = tmp_path_factory.mktemp("world")
    world = World(SCENARIO, pause_s=180.0)
    with contextlib.ExitStack() as processes:
        started = lambda one: processes.enter_context(contextlib.closing(one))  # noqa: E731  # all end with the block
        return play(world, folder / "state", started)


def play(world, state_dir, started):
    """Four simulators, the stack, and what an operator does on such a day."""
    port = free_port(state_dir.parent)
    upstreams = {
        "kalshi": started(world.kalshi(SPEED, state_dir.parent, rest_limit="20")),
        "iem": started(world.iem(SPEED, AT)),
        "tws": started(world.tws(TWS_SPEED, "2026-03-09T19:15:00Z")),
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
    at_ns, begun_ns, _ = map(float, environment["TWS_TAPE"].split(":"))
    time.sleep(max(0.0, (begun_ns + (PACED_NS - at_ns) / TWS_SPEED - wiring.now_ns()) / NS_PER_S))
    tws = ("run", "tws", "--state-dir", str(state_dir))
    mine = {**environment, "TWS_CLIENT_ID": "18"}
    shots = [Started(*tws, *flags, **mine).done(120) for flags in (("--date", "2026-03-09"), *[("--backfill",)] * 2)]
    sent = json.loads(sender.done(180).splitlines()[-1])
    time.sleep(max(0.0, begun_s + (END_NS - AT_NS) / NS_PER_S / SPEED + 40 - time.monotonic()))
    stack.close()
    said = {name: "\n".join(one.closed().said) for name, one in upstreams.items()}
    return Played(world, state_dir, said | {"shots": "\n".join(shots)}, sent)


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
    """Tickers come by the socket alone. Each that is not there was sent after a gap of its market, ahead of what came next.

    The clock of a recording is the latest time that it has shown: a gap begins there, and ends with the next frame.
    """
    world, state_dir, _, _ = played
    made = {(m["market_ticker"], m["ts_ms"]) for m in world.frames("ticker")}
    found = ask(state_dir, "SELECT market_ticker, toUnixTimestamp64Milli(event_at) FROM tapefold_api.market_ticks")
    assert len(found) == len(set(found))
    assert set(found) <= made
    lost = made - set(found)
    assert 0 < len(lost) < len(made) // 3
    heard = sorted(ms for (ms,) in ask(state_dir, HEARD))
    gaps = ask(
        state_dir,
        "SELECT market_ticker, toUnixTimestamp64Milli(noticed_at) FROM tapefold_api.gaps WHERE channel = 'ticker'",
    )
    holes = {(ticker, ms, heard[bisect.bisect_right(heard, ms)]) for ticker, ms in gaps if ms < heard[-1]}
    unnamed_ = [
        (t, ms) for t, ms in lost if not any(t == of and from_ms <= ms <= to_ms for of, from_ms, to_ms in holes)
    ]
    assert [] == unnamed_


def test_every_scripted_fault_is_told_by_name(played):
    """Each kind of the scenario has a name, and each fault is told by it within its time."""
    assert {(fault.of, fault.kind) for fault in FAULTS} == set(NAMES)
    assert [] == [words for fault in FAULTS if (words := unnamed(played, fault)) is not None]


def forecasts(world, from_ns, to_ns):
    """What the made-up archive has of the runs of some time, as rows of the table."""
    runs = [
        run for station in STATIONS for model in MODELS for run in world.weather.runs(station, model, from_ns, to_ns)
    ]
    return {(run.station, run.model, r["runtime"], r["ftime"], r["tmp"]) for run in runs for r in run.rows}


def reports_of(world, from_ns, to_ns):
    """The names of the reports that are issued in some time."""
    return {one.name for station in STATIONS for one in world.weather.products(station, from_ns, to_ns)}


def test_every_forecast_and_report_stands_once_and_every_flaw_has_its_name(played):
    """Rows of all runs of the span, corrections beside what they corrected; runs that never came are absent by name."""
    world, state_dir, _, _ = played
    made = forecasts(world, AT_NS, END_NS - 14 * NS_PER_HOUR)
    told = ask(
        state_dir,
        "SELECT station, model, formatDateTime(run_at, '%Y-%m-%d %H:%i:%S'),"
        " formatDateTime(event_at, '%Y-%m-%d %H:%i:%S'), tmp_f FROM tapefold_api.forecasts",
    )
    assert len(told) == len(set(told))
    assert made <= set(told) <= forecasts(world, AT_NS - 40 * NS_PER_HOUR, END_NS + 24 * NS_PER_HOUR)
    products = reports_of(world, AT_NS, END_NS - NS_PER_HOUR)
    reports = ask(state_dir, "SELECT product, count() FROM tapefold_api.climate GROUP BY product")
    assert products <= {name for name, _ in reports} <= reports_of(world, AT_NS - DAYS_NS, END_NS + DAYS_NS)
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
