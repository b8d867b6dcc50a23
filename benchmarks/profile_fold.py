"""Where the fold's time goes, without Kafka and Faust: batches of one partition through `Batch`, states in a dict.

    PYTHONPATH=.:benchmarks .venv/bin/python benchmarks/profile_fold.py [--events N] [--batch N] [--profile]

Prints nanoseconds per trade of each step. With `--profile` also the costliest functions by cProfile.
"""

import argparse
import cProfile
import gc
import pstats
import time
from collections import defaultdict

from workload import PARTITIONS, append

from stream_processors.ingest import WATERMARK_TOPICS
from stream_processors.pipeline import Batch, States
from stream_processors.stages import GC_THRESHOLDS
from topics.catalog import FACT_TRADE
from topics.log import MemoryLog, Record


def batches(events: int, batch_records: int) -> list[list[Record]]:
    """The input as a worker fetches it: in turn from each partition."""
    log = MemoryLog()
    log.create({topic: {} for topic in WATERMARK_TOPICS}, PARTITIONS)
    append(log.appender(), events)
    parts = [log.reader({(FACT_TRADE, number): 0}).read(events * 2, 0) for number in range(PARTITIONS)]
    return [
        part[start : start + batch_records]
        for start in range(0, max(map(len, parts)), batch_records)
        for part in parts
        if start < len(part)
    ]


def fold_all(work: list[list[Record]]) -> dict[str, float]:
    """Fold everything; seconds by step."""
    store: dict[str, bytes] = {}
    seconds: dict[str, float] = defaultdict(float)
    changelog_bytes = outputs = 0
    states_of = [States(store.get) for _ in range(PARTITIONS)]
    for records in work:
        started_s = time.perf_counter()
        states = states_of[records[0].partition]
        batch = Batch(states, FACT_TRADE, records[0].partition, PARTITIONS)
        rows = batch.fold([each.offset for each in records], [each.value for each in records])
        folded_s = time.perf_counter()
        encoded = states.encoded()
        encoded_s = time.perf_counter()
        store.update(encoded)
        seconds["fold, states decoded, rows encoded"] += folded_s - started_s
        seconds["states encoded"] += encoded_s - folded_s
        changelog_bytes += sum(map(len, encoded.values()))
        outputs += len(rows)
    print(f"{outputs:,} rows, {changelog_bytes / 1e6:,.0f} MB of states in {len(work)} batches")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    work = batches(given.events, given.batch)
    gc.freeze()  # as the worker does
    gc.set_threshold(*GC_THRESHOLDS)
    if given.profile:
        profile = cProfile.Profile()
        profile.runcall(fold_all, work)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    seconds = fold_all(work)
    for step, value in seconds.items():
        print(f"{step:40} {value / given.events * 1e9:8.0f} ns/trade")
    total_s = sum(seconds.values())
    print(f"{'all':40} {total_s / given.events * 1e9:8.0f} ns/trade, {given.events / total_s:,.0f}/s")


if __name__ == "__main__":
    main()
