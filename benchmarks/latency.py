"""How old a frame is when its row can be queried, and when it shows in `bars.1m`: at 2,000 frames a second.

    .venv/bin/python benchmarks/latency.py [--rate 2000] [--seconds 30] [--warm-up 15] [--only bars|rows]

The whole stack runs as `tapefold up` runs it, on the wall clock, with the simulator as upstream. A frame's age counts
from the stamp that the recorder gave it at the socket. Whoever watches takes processor time from what is watched, so each
of the two figures has a run of its own.

Frames of the first `--warm-up` seconds are told apart: the folder is new, so the broker compiles itself, and Kafka takes
30 to 90 ms for the first record of each partition (a file written through to the disk, it seems); some topics get theirs
after ten seconds. A recorder goes through that once after each start of the broker.
"""

import argparse
import functools
import json
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from sinks.batch import where
from tapefold.settings import load_settings
from tapefold.simulators.kalshi.world import made_up_lines
from tapefold.stack import Recording, Stack
from tapefold.supervisor import Service
from topics.catalog import BARS_1M, RAW_KALSHI_WS
from topics.codec import decode_bar
from topics.log import Record, all_records
from topics.units import NS_PER_MINUTE, NS_PER_S

POLL_S = 0.1
TAIL_S = 8.0


class Age(NamedTuple):
    """Of a frame that was received at `received_ns`."""

    received_ns: int
    age_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=2_000)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--warm-up", type=int, default=15)
    parser.add_argument("--only", choices=("bars", "rows"))
    given = parser.parse_args()
    watched = {"bars": watch_bars, "rows": watch_rows}
    for name in [given.only] if given.only else watched:
        run(given.rate, given.seconds + given.warm_up, functools.partial(watched[name], warm_up_s=given.warm_up))


def run(rate: int, seconds: int, watch: Callable[[Stack, threading.Event], None]) -> None:
    """Run a stack of its own for `watch`, which looks at it until it is told that the time is over."""
    with tempfile.TemporaryDirectory(prefix="tapefold-bench-") as folder:
        state_dir = Path(folder)
        frames = state_dir / "world.ndjson"
        lines = made_up_lines(seed=1, frames=rate * seconds)
        frames.write_bytes(b"\n".join(lines))
        first, last = (json.loads(line)["recv_ms"] for line in (lines[0], lines[-1]))
        speed = (last - first) / 1000 / seconds
        stack = Stack(load_settings(), state_dir / "state", lambda _: None)
        try:
            stack.start(None, until_closed=False)
            time.sleep(6.0)  # the agents join their groups; a live recorder does not start with them either
            environment = stack.simulate(Recording((frames,), str(speed)))
            stack.supervisor.start(Service("ws", ("run", "ws"), {**environment, "WS_CLOCK": "wall"}))
            stop = threading.Event()
            timer = threading.Timer(seconds + TAIL_S, stop.set)
            timer.start()
            watch(stack, stop)
        finally:
            stack.stop()


def watch_bars(stack: Stack, stop: threading.Event, warm_up_s: float) -> None:
    """Look at the bars as they come, and afterwards at the trades that they are made of; print ages."""
    shown: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    reader = stack.log.reader(dict.fromkeys(stack.log.watermarks([BARS_1M]), 0))
    while not stop.is_set():
        for record in reader.read(1_000, 0.005):
            bar = decode_bar(record.value)
            shown[bar.market_ticker, bar.minute_ns // NS_PER_MINUTE].append((bar.trades, time.time_ns()))
    reader.close()
    trades: dict[tuple[str, int], list[int]] = defaultdict(list)
    for record, stamp in frames_of(stack):
        if record.value.startswith(b'{"type":"trade"'):
            msg = json.loads(record.value)["msg"]
            trades[msg["market_ticker"], msg["ts_ms"] // 60_000].append(stamp)
    report("socket to bars.1m", bar_ages(trades, shown), 200, warm_up_s)


def watch_rows(stack: Stack, stop: threading.Event, warm_up_s: float) -> None:
    """Ask the store how far its raw records reach, and afterwards the log when they were received; print ages."""
    visible: list[tuple[int, dict[int, int]]] = []
    reached = dict.fromkeys((number for _, number in stack.log.watermarks([RAW_KALSHI_WS])), 0)
    sql = "SELECT _partition, max(_offset) FROM tapefold.raw_records WHERE RANGES GROUP BY _partition"
    while not stop.is_set():
        # Only what came since: a question about the whole table would cost the store more with every second.
        beyond = [(RAW_KALSHI_WS, number, offset, 2**63) for number, offset in reached.items()]
        rows = stack.tables.query_rows(sql.replace("RANGES", where(beyond, "_topic", "_partition", "_offset"))).rows
        visible.append((time.time_ns(), dict(rows)))
        reached.update(rows)
        time.sleep(POLL_S)
    received = {(record.partition, record.offset): stamp for record, stamp in frames_of(stack)}
    report("socket to queryable row", row_ages(received, visible), 2_000, warm_up_s)


def frames_of(stack: Stack) -> Iterator[tuple[Record, int]]:
    """Each frame on the raw topic, and when it was received (ns)."""
    for record in all_records(stack.log, [RAW_KALSHI_WS]):
        headers = dict(record.headers)
        if headers["kind"] == b"frame":
            yield record, int(headers["received_ns"])


def bar_ages(trades: dict, shown: dict) -> list[Age]:
    """The k-th trade of a minute shows in the first bar that counts k trades."""
    ages = []
    for key, stamps in trades.items():
        seen = iter(sorted(shown[key], key=lambda item: item[1]))
        count, at_ns = 0, 0
        for number, stamp in enumerate(stamps, 1):
            while count < number:
                count, at_ns = next(seen, (number, 0))
            if at_ns:
                ages.append(Age(stamp, (at_ns - stamp) / 1e6))
    return ages


def row_ages(received: dict, visible: list) -> list[Age]:
    """A raw record can be queried from the first look that saw its offset."""
    ages, reached = [], defaultdict(lambda: -1)
    for at_ns, offsets in visible:
        for partition, offset in offsets.items():
            for number in range(reached[partition] + 1, offset + 1):
                if (stamp := received.get((partition, number))) is not None:
                    ages.append(Age(stamp, (at_ns - stamp) / 1e6))
            reached[partition] = max(reached[partition], offset)
    return ages


def report(name: str, ages: list[Age], target_ms: float, warm_up_s: float) -> None:
    """Print the ages of frames that came after the warm-up, and of those that came in it."""
    warm_ns = min(age.received_ns for age in ages) + int(warm_up_s * NS_PER_S)
    later = [age.age_ms for age in ages if age.received_ns >= warm_ns]
    print(f"{name:26} {quantiles(later)} (target {target_ms})")
    if first := [age.age_ms for age in ages if age.received_ns < warm_ns]:
        print(f"{'  its first ' + format(warm_up_s, 'g') + ' s':26} {quantiles(first)}")


def quantiles(ages_ms: list[float]) -> str:
    cuts = statistics.quantiles(ages_ms, n=100)
    return f"n={len(ages_ms):,} p50={cuts[49]:.0f} ms p90={cuts[89]:.0f} p99={cuts[98]:.0f}"


if __name__ == "__main__":
    main()
