"""The faults of the made-up world (`world_faults.toml`), and by what name each of them is told.

A name is a query that counts rows within the fault's time, or a look into what a service or a simulator printed. Faults
that lose nothing (a copy, a storm that retries ride out) have no row: the recorder's lines and counters name them.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from stack import ask

from tapefold.simulators.scenario import KINDS, Fault, read

SCENARIO = Path(__file__).with_name("world_faults.toml")
FAULTS = read(SCENARIO, *KINDS).faults


class Played(NamedTuple):
    """The day, when it is over. said: what the simulators printed, and the one-shots of TWS. sent: the sender's report."""

    world: Any
    state_dir: Path
    said: dict[str, str]
    sent: dict[str, Any]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of one query."""
        return ask(self.state_dir, sql)

    def told(self, service: str, metric: str) -> Iterator[dict[str, Any]]:
        """The lines of one metric in a service's log."""
        for line in (self.state_dir / "logs" / f"{service}.log").read_text().splitlines():
            if line.startswith("{") and (fields := json.loads(line)).get("metric") == metric:
                yield fields

    def latest(self, service: str, metric: str, name: str) -> int:
        """A counter as it was told last."""
        return max((int(fields.get(name, 0)) for fields in self.told(service, metric)), default=0)


Name = str | Callable[[Played], object]
_DEAD = "tapefold_api.dead WHERE received_at BETWEEN {from} AND {to} AND cause_topic ="
_RUNS = "tapefold_api.forecast_runs WHERE received_at BETWEEN {from} AND {to} AND"
_GAPS = "tapefold_api.gaps WHERE noticed_at BETWEEN {from} - INTERVAL 10 MINUTE AND {to} + INTERVAL 10 MINUTE AND"
_ERRORS = "tapefold_api.tws_errors WHERE received_at BETWEEN {from} AND {to} + INTERVAL 3 MINUTE AND"
_OF_RUN = "SELECT station, model, run_at{more} FROM tapefold_api.{table} WHERE run_at >= {from} AND run_at < {to} GROUP BY ALL HAVING"


def _of_runs(table: str, having: str, more: str = "") -> str:
    return _OF_RUN.replace("{table}", table).replace("{more}", more) + " " + having


def _retried(status: int) -> Callable[[Played], object]:
    said = f"HTTP {status}"
    return lambda played: [line for line in played.told("rest", "rest.retry") if line["said"].startswith(said)]


def _webhook(name: str) -> Callable[[Played], object]:
    return lambda played: played.latest("webhook", "webhook.requests", name)


_ABSENT = (
    "SELECT station, model, toUnixTimestamp64Nano(run_at), toUnixTimestamp64Nano(absent_at)"
    " FROM tapefold_api.forecast_runs WHERE reason IS NULL"
)


def _empty(played: Played) -> list[tuple[Any, ...]]:
    """Runs that were out when an answer, within the fault's time, had none of them."""
    fault = next(one for one in FAULTS if (one.of, one.kind) == ("iem", "empty"))
    told = [row for row in played.rows(_ABSENT) if row[3] is not None and fault.covers(row[3])]
    return [
        (station, model, run_ns)
        for station, model, run_ns, absent_ns in told
        for run in played.world.weather.runs(station, model, run_ns, run_ns)
        if run.out_ns < absent_ns
    ]


NAMES: dict[tuple[str, str], Name] = {
    ("kalshi.ws", "drop"): f"{_GAPS} kind = 'seq_hole'",
    ("kalshi.ws", "cut"): f"{_GAPS} kind = 'disconnect' AND channel = 'ticker'",
    ("kalshi.ws", "stall"): f"{_GAPS} kind = 'stall' AND channel = 'ticker'",
    ("kalshi.ws", "duplicate"): lambda played: played.latest("ws", "ws.frames", "repeated"),
    ("kalshi.rest", "503"): _retried(503),
    ("kalshi.rest", "429"): _retried(429),
    ("kalshi.rest", "truncate"): f"{_DEAD} 'raw.kalshi.rest' AND reason = 'not_json'",
    ("kalshi.rest", "duplicate"): lambda played: "'duplicate'" in played.said["kalshi"],  # one row each, whatever came
    ("kalshi.rest", "conflict"): f"{_DEAD} 'raw.kalshi.rest' AND reason = 'conflict'",
    ("kalshi.rest", "skew"): f"{_DEAD} 'raw.kalshi.rest' AND reason = 'bad_status' AND detail LIKE '%401%'",
    ("kalshi.rest", "empty"): f"{_DEAD} 'raw.kalshi.rest' AND reason = 'missing_field'",
    ("iem", "503"): f"{_RUNS} status = 503 AND reason = 'throttled'",
    ("iem", "429"): f"{_RUNS} status = 429 AND reason = 'throttled'",
    ("iem", "empty"): _empty,
    ("iem", "error"): f"{_RUNS} reason = 'upstream_error'",
    ("iem", "truncate"): f"{_RUNS} reason = 'truncated'",
    ("iem", "late"): _of_runs("forecast_runs", "countIf(model = 'NBS' AND absent_at > run_at + INTERVAL 3 HOUR) > 0"),
    ("iem", "missing"): _of_runs("forecast_runs", "countIf(reason = 'absent') > 0 AND countIf(reason IS NULL) = 0"),
    ("iem", "duplicate"): _of_runs("forecasts", "count() = 1", ", event_at"),
    ("iem", "conflict"): _of_runs("forecasts", "uniqExact(tmp_f) = 2", ", event_at"),
    ("iem", "correction"): "tapefold_api.climate WHERE issued_at BETWEEN {from} AND {to} AND product LIKE '%-CCA'",
    ("tws", "1101"): "tapefold_api.tws_outages WHERE code = 1100 AND data_lost AND ended_at >= {to}",
    ("tws", "pacing"): f"{_ERRORS} reason = 'pacing'",
    ("tws", "silent"): f"{_ERRORS} reason = 'cancelled'",
    ("webhook", "wrong"): _webhook("wrong_signature"),
    ("webhook", "old"): lambda played: played.sent["answers"].get("old 400"),
    ("webhook", "skew"): lambda played: played.sent["answers"].get(
        "honest 400"
    ),  # sent again until the clock was right
    ("webhook", "duplicate"): _webhook("duplicate"),
    ("webhook", "conflict"): "tapefold_api.dead WHERE cause_topic = 'raw.webhook' AND reason = 'conflict'",
    ("webhook", "unreadable"): "tapefold_api.dead WHERE cause_topic = 'raw.webhook' AND reason = 'not_json'",
    ("webhook", "slow"): _webhook("slow_header"),
}


def unnamed(played: Played, fault: Fault) -> str | None:
    """What was asked in vain for the name of this fault; None where it was told."""
    name = NAMES[fault.of, fault.kind]
    if not isinstance(name, str):
        return None if name(played) else f"{fault.of} {fault.kind}: nothing said so"
    sql = name if name.startswith("SELECT") else f"SELECT 1 FROM {name} LIMIT 1"
    sql = sql.replace("{from}", _moment(fault.from_ns)).replace("{to}", _moment(fault.to_ns))
    return None if played.rows(sql) else f"{fault.of} {fault.kind}: no row of {sql}"


def _moment(time_ns: int) -> str:
    return f"toDateTime64('{datetime.fromtimestamp(time_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S}', 9, 'UTC')"
