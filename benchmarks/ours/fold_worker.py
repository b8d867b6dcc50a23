"""Our fold worker as `tapefold` runs it: Faust, RocksDB, changelog, bars on `bars.1m`.

It says on stdout when its first batch comes, by the machine's monotonic clock; nothing else is measured inside.

With `--profile FILE` its loop runs under cProfile (slower: for finding costs, not for rates).
"""

import argparse
import cProfile
import time
from pathlib import Path

from workload import PARTITIONS

from stream_processors import stages
from stream_processors.app import WorkerSettings, run
from topics.kafka import KafkaLog


def tell_first_batch() -> None:
    """Put a stand-in before the first `Batch`, which takes itself away."""
    batch = stages.Batch

    def first(*arguments):
        print(f"FIRST {time.monotonic()}", flush=True)
        stages.Batch = batch
        return batch(*arguments)

    stages.Batch = first


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--profile", type=Path)
    given = parser.parse_args()
    settings = WorkerSettings(
        bootstrap=given.bootstrap, stage="fold", data_dir=given.state_dir, partitions=PARTITIONS, slot="bench"
    )
    tell_first_batch()
    appender = KafkaLog(given.bootstrap).appender()
    if given.profile is None:
        run(settings, appender)
        return
    profile = cProfile.Profile()
    try:
        profile.runcall(run, settings, appender)
    finally:
        profile.dump_stats(given.profile)


if __name__ == "__main__":
    main()
