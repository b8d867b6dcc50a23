"""Our replay: trades to bars without Faust, one process per processor, each with partitions of its own.

The clock runs from the first batch of any process to the last row of all. The rows are kept, last revision of each, and
counted for the checksum.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

from workload import PARTITIONS, Checksum

from stream_processors.ingest import WATERMARK_TOPICS
from stream_processors.replay import Part
from tapefold.replay.pace import Leg, cut_to_end, stretches
from tapefold.replay.workers import AHEAD_KBYTES, BATCH_RECORDS, fold, prefer_folding
from topics.catalog import BARS_1M
from topics.codec import decode_bar
from topics.kafka import KafkaLog


class _FromFirst(KafkaLog):
    """A log whose readers ask for one record first, as the raw one does: both clocks begin with the first record."""

    def reader(self, positions, *, gather_s=0.0):
        reader = super().reader(positions, gather_s=gather_s)
        read = reader.read_stretches

        def first(_, timeout_s, *, bare=False):
            came = read(1, timeout_s, bare=bare)
            if came:
                reader.read_stretches = read
            return came

        reader.read_stretches = first
        return reader


def work(connection, bootstrap: str, own: tuple[int, ...]) -> None:
    """Fold the partitions `own` of the fact topics; sends when it began and ended, and what its bars add up to."""
    prefer_folding()  # as the command's workers do
    log = _FromFirst(bootstrap, ahead_kbytes=AHEAD_KBYTES)
    cut = {place: offsets for place, offsets in cut_to_end(log, WATERMARK_TOPICS).items() if place[1] in own}
    part = Part(own, PARTITIONS, batch_records=BATCH_RECORDS)
    last: dict[bytes, bytes] = {}

    def keep(rows):
        for row in rows:
            if row.topic == BARS_1M:
                last[row.value[: row.value.index(b",")]] = row.value

    connection.recv()
    began_s = 0.0
    for stretch in stretches(log, Leg(cut)):
        began_s = began_s or time.monotonic()
        keep(fold(part, stretch))
    keep(part.rest())
    ended_s = time.monotonic()
    bars = [decode_bar(value) for value in last.values()]
    assert all(bar.closed for bar in bars)
    traded = [bar for bar in bars if bar.trades]
    sums = (len(traded), sum(b.trades for b in bars), sum(b.volume_e4 for b in bars), sum(b.close_e6 for b in traded))
    connection.send((began_s, ended_s, sums))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--trades", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    given = parser.parse_args()
    count = min(PARTITIONS, os.cpu_count() or 1)
    context = multiprocessing.get_context("spawn")
    pipes = []
    for number in range(count):
        ours, theirs = context.Pipe()
        own = tuple(range(number, PARTITIONS, count))
        context.Process(target=work, args=(theirs, given.bootstrap, own), daemon=True).start()
        pipes.append(ours)
    for pipe in pipes:
        pipe.send("go")
    results = [pipe.recv() for pipe in pipes]
    seconds = max(ended_s for _, ended_s, _ in results) - min(began_s for began_s, _, _ in results)
    checksum = Checksum(*(sum(column) for column in zip(*(sums for _, _, sums in results), strict=True)))
    print("RESULT " + json.dumps({"seconds": seconds, "checksum": checksum}), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
