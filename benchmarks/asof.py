"""As-of rows: how long one year of 20 stations and 5 models takes under 24 new hourly policies, on two cores.

    .venv/bin/python benchmarks/asof.py [--days 365] [--stations 20] [--policies 24] [--processes 2] [--json FILE]

The runs are those of the models' cycles with their horizons, made up from a seed. They are folded first (not timed by
the target), so that the states stand as bytes as they would in RocksDB; then each policy is told, as `tapefold policy
add` does, and every day of every station is answered for it. Prints rows, seconds and what a station day weighs.
"""

import argparse
import gc
import json
import multiprocessing
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stream_processors.pipeline import Batch, States
from stream_processors.stages import GC_THRESHOLDS
from topics.catalog import FACT_FORECAST, FACT_POLICY
from topics.climate_day import ZONE_BY_STATION, from_iso
from topics.codec import encode
from topics.events import Cause
from topics.policies import Policy
from topics.units import NS_PER_DAY
from topics.weather import Forecast, ForecastRun

# model: cycles (UTC hours), horizon in half days, hours until it is known
MODELS = {
    "GFS": ((0, 6, 12, 18), 6, 4),
    "MEX": ((0, 12), 16, 5),
    "NAM": ((0, 12), 6, 3),
    "NBS": ((1, 7, 13, 19), 6, 2),
    "NBE": ((1, 7, 13, 19), 22, 2),
}
TARGET_S = 60.0
HOUR_NS = 3_600 * 10**9
HALF_DAY_NS = 12 * HOUR_NS


def forecasts(station: str, first_day: int, days: int, seed: str):
    rng = random.Random(seed)
    offset = 0
    for day in range(first_day, first_day + days):
        for model, (cycles, horizon, lag_h) in MODELS.items():
            for hour in cycles:
                run_ns = day * NS_PER_DAY + hour * HOUR_NS
                known_ns = run_ns + lag_h * HOUR_NS + rng.randrange(0, 3600) * 10**9
                for step in range(1, horizon + 1):
                    offset += 1
                    yield Forecast(
                        station=station,
                        model=model,
                        label=model,
                        run_ns=run_ns,
                        event_ns=(run_ns // HALF_DAY_NS + step) * HALF_DAY_NS,
                        revision=f"{rng.getrandbits(64):016x}",
                        n_x_f=rng.randint(20, 100),
                        known_ns=known_ns,
                        received_ns=known_ns,
                        known_by="modelled",
                        cause=Cause("raw.iem.mos", 0, offset),
                        conn="bench",
                    )


def part(arguments: tuple[list[str], int, int]) -> dict:
    """One partition: some stations. Returns what it counted."""
    stations, days, policies = arguments
    gc.freeze()  # as the worker does
    gc.set_threshold(*GC_THRESHOLDS)
    stored: dict[str, bytes] = {}

    def feed(topic: str, values: list[bytes]) -> list:
        states = States(stored.get)
        outputs = Batch(states, topic, 0, 1).fold(range(len(values)), values)
        stored.update(states.encoded())
        return outputs

    first_day, facts, started = from_iso("2025-01-01"), 0, time.perf_counter()
    for station in stations:
        values = [encode(each) for each in forecasts(station, first_day, days, station)]
        facts += len(values)
        for start in range(0, len(values), 10_000):
            feed(FACT_FORECAST, values[start : start + 10_000])
        reached_ns = (first_day + days + 30) * NS_PER_DAY
        run = ForecastRun(
            station=station, model="GFS", run_ns=reached_ns, event_ns=reached_ns, received_ns=reached_ns,
            known_ns=reached_ns, known_by="observed", cause=Cause("raw.iem.mos", 0, 0), conn="bench", seen="archive", valid_times=0,
        )  # fmt: skip
        feed(FACT_FORECAST, [encode(run)])
    folded_s = time.perf_counter() - started
    rows = chosen = 0
    started = time.perf_counter()
    for number in range(policies):
        policy = Policy(
            policy_id=f"bench-{number:02}", version=1, at=f"D-1 {number:02}:00 station local standard",
            models=tuple(MODELS), max_staleness_s=86_400,
        )  # fmt: skip
        outputs = feed(FACT_POLICY, [encode(policy)])
        rows += len(outputs)
        chosen += sum(b'"missing_reason":null' in output.value for output in outputs)
    asked_s = time.perf_counter() - started
    weights = [len(value) for key, value in stored.items() if key.startswith("asofday/")]
    return {
        "facts": facts, "folded_s": folded_s, "rows": rows, "chosen": chosen, "asked_s": asked_s,
        "state_bytes": sum(weights), "states": len(weights), "state_max": max(weights),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--stations", type=int, default=20)
    parser.add_argument("--policies", type=int, default=24)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    stations = sorted(ZONE_BY_STATION)[: given.stations]
    parts = [(stations[number :: given.processes], given.days, given.policies) for number in range(given.processes)]
    started = time.perf_counter()
    with multiprocessing.Pool(given.processes) as pool:
        counted = pool.map(part, parts, chunksize=1)
    whole_s = time.perf_counter() - started
    rows = sum(each["rows"] for each in counted)
    facts = sum(each["facts"] for each in counted)
    asked_s = max(each["asked_s"] for each in counted)
    folded_s = max(each["folded_s"] for each in counted)
    mean = sum(each["state_bytes"] for each in counted) / sum(each["states"] for each in counted)
    print(f"folded {facts:,} forecasts in {folded_s:.1f} s ({facts / folded_s:,.0f}/s)")
    print(f"answered {rows:,} rows ({sum(each['chosen'] for each in counted):,} chosen) in {asked_s:.1f} s "
          f"({rows / asked_s:,.0f}/s); target {TARGET_S:.0f} s: {'met' if asked_s < TARGET_S else 'MISSED'}")  # fmt: skip
    print(f"a station day weighs {mean:,.0f} bytes, the heaviest {max(each['state_max'] for each in counted):,}")
    print(f"all in all {whole_s:.1f} s")
    if given.json:
        given.json.write_text(json.dumps({"rows": rows, "asked_s": asked_s, "facts": facts, "folded_s": folded_s}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
