"""Our fold agent, the real worker in a process of its own, measured from outside.

The clock runs from the worker's first batch to the commit of its consumer group that reaches the end of `fact.trade`
and `fact.book`: everything is folded, on the log, and in the changelog. A worker commits every 0.2 s, so the end is seen
up to 0.2 s late; that is ours to bear. The bars are read back from `bars.1m`, last revision per row.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import confluent_kafka
from workload import PARTITIONS, Checksum

from stream_processors.ingest import WATERMARK_TOPICS
from stream_processors.names import app_id
from topics.catalog import BARS_1M
from topics.codec import decode_bar
from topics.events import Bar
from topics.kafka import KafkaLog
from topics.log import TopicPartition, all_records

POLL_S = 0.05
STOP_TIMEOUT_S = 30
_WATCHED = WATERMARK_TOPICS


class Commits:
    """The committed offsets of the fold's group, through one consumer that is kept."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": app_id("fold")})
        self._wanted = [
            confluent_kafka.TopicPartition(topic, number) for topic in _WATCHED for number in range(PARTITIONS)
        ]

    def read(self) -> dict[TopicPartition, int]:
        """Partition -> committed offset, 0 where there is none yet."""
        found = self._consumer.committed(self._wanted, timeout=10)
        return {(each.topic, each.partition): max(each.offset, 0) for each in found}

    def close(self) -> None:
        self._consumer.close()


def wait_for_commits(bootstrap: str, worker: subprocess.Popen) -> float:
    """Wait until the worker has committed all; returns the monotonic time at which that was seen."""
    marks = KafkaLog(bootstrap).watermarks(_WATCHED)
    commits = Commits(bootstrap)
    try:
        while worker.poll() is None:
            committed = commits.read()
            seen_s = time.monotonic()
            if all(committed[key] >= mark.high for key, mark in marks.items()):
                return seen_s
            time.sleep(POLL_S)
    finally:
        commits.close()
    raise SystemExit(f"the fold worker ended with code {worker.returncode}")


def first_batch_s(worker: subprocess.Popen) -> float:
    """The monotonic time of the worker's first batch."""
    for line in worker.stdout:
        if "FIRST " in line:
            return float(line.partition("FIRST ")[2])
    raise SystemExit("the fold worker ended before its first batch")


def read_bars(bootstrap: str) -> tuple[dict[str, Bar], tuple[int, int]]:
    """Row id -> the bar of its last revision, and the first and last write time (ms) on `bars.1m`."""
    bars: dict[str, Bar] = {}
    written_ms: list[int] = []
    for record in all_records(KafkaLog(bootstrap), [BARS_1M]):
        bar = decode_bar(record.value)
        if bar.row_id not in bars or bar.rev >= bars[bar.row_id].rev:
            bars[bar.row_id] = bar
        written_ms.append(record.timestamp_ms)
    return bars, (min(written_ms), max(written_ms))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--trades", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--profile", type=Path)
    given = parser.parse_args()
    script = Path(__file__).with_name("fold_worker.py")
    command = [sys.executable, str(script), "--bootstrap", given.bootstrap, "--state-dir", str(given.state_dir)]
    if given.profile is not None:
        command += ["--profile", str(given.profile)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        started_s = first_batch_s(worker)
        ended_s = wait_for_commits(given.bootstrap, worker)
    finally:
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
    bars, (first_ms, last_ms) = read_bars(given.bootstrap)
    still_open = sum(not bar.closed for bar in bars.values())
    if still_open:
        raise SystemExit(f"{still_open} of {len(bars)} bars are still open")
    result = {"seconds": ended_s - started_s}
    rows = bars.values()
    traded = [bar for bar in rows if bar.trades]
    result["checksum"] = Checksum(
        len(traded), sum(b.trades for b in rows), sum(b.volume_e4 for b in rows), sum(b.close_e6 for b in traded)
    )
    result["output_span_s"] = (last_ms - first_ms) / 1000
    print("RESULT " + json.dumps(result), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
