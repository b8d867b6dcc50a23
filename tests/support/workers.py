"""Real workers as processes, on a real log, for tests: started, killed and awaited by pid."""

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from stream_processors.names import app_id
from tapefold.migrating import topic_settings
from topics.catalog import BARS_1M, FOLD_TOPICS, RAW_KALSHI_WS, RAW_TOPICS
from topics.codec import decode_bar, encode
from topics.events import BeatNotice
from topics.kafka import KafkaLog
from topics.log import all_records

PARTITIONS = 4
START_MS = 1_740_000_000_000


def trade_frames(count: int, markets: int = 12, seed: int = 1) -> Iterable[bytes]:
    """Trade frames of made-up markets of several series, about ten a second."""
    rng = random.Random(seed)
    at_ms = START_MS
    for number in range(count):
        at_ms += rng.randrange(200)
        market = rng.randrange(markets)
        price = rng.randrange(1, 100)
        yield msgspec.json.encode(
            {
                "type": "trade",
                "sid": 2,
                "seq": number + 1,
                "msg": {
                    "trade_id": str(uuid.UUID(int=rng.getrandbits(128))),
                    "market_ticker": f"KXMADEUP{market % 5}-26JAN01-B{market}",
                    "yes_price_dollars": f"{price / 100:.4f}",
                    "no_price_dollars": f"{1 - price / 100:.4f}",
                    "count_fp": f"{rng.randrange(1, 500)}.00",
                    "taker_outcome_side": "yes",
                    "ts_ms": at_ms,
                },
            }
        )


def put_raw(log: KafkaLog, frames: Iterable[bytes], conn: str = "c1") -> int:
    """Append frames as the recorder does on the tape clock, beats and a last word included; returns the last ms."""
    appender = log.appender()
    clock_ms = beaten_ms = 0

    def put(kind: bytes, value: bytes, **place: Any) -> None:
        headers = [("kind", kind), ("conn", conn.encode()), ("clock", b"tape"), ("source", b"kalshi.ws")]
        headers.append(("received_ns", b"%d" % (clock_ms * 10**6)))
        appender.append(RAW_KALSHI_WS, value, headers=headers, timestamp_ms=clock_ms, **place)

    def beat(bye: bool = False) -> None:
        notice = BeatNotice(source="kalshi.ws", conn=conn, clock_ns=clock_ms * 10**6, lease_ns=30 * 10**9, bye=bye)
        for partition in range(PARTITIONS):
            put(b"beat", encode(notice), partition=partition)

    for frame in frames:
        msg = msgspec.json.decode(frame)["msg"]
        clock_ms = max(clock_ms, msg["ts_ms"])
        put(b"frame", frame, key=msg["market_ticker"].encode())
        if clock_ms >= beaten_ms + 1000:
            beaten_ms = clock_ms
            beat()
    clock_ms = (clock_ms // 60_000 + 1) * 60_000 + 10_000
    beat(bye=True)
    appender.flush()
    return clock_ms


def create_topics(log: KafkaLog) -> None:
    """All topics, as migrate creates them."""
    log.create(topic_settings(), PARTITIONS)


class Worker:
    """One `tapefold run STAGE` process."""

    def __init__(self, log: KafkaLog, stage: str, state_dir: Path, slot: str = "0") -> None:
        self._log = log
        self.stage = stage
        self._state_dir = state_dir
        self._slot = slot
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it (again)."""
        self._state_dir.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "KAFKA_BOOTSTRAP": self._log.bootstrap}
        command = [sys.executable, "-m", "tapefold", "run", self.stage, "--slot", self._slot]
        with (self._state_dir / f"{self.stage}-{self._slot}.log").open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--state-dir", str(self._state_dir)], env=environment, stdout=output, stderr=output
            )

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; waits for the end unless it is one that does not end."""
        assert self.process is not None
        self.process.send_signal(number)
        if number in {signal.SIGKILL, signal.SIGTERM}:
            self.process.wait(30)

    def folder(self) -> Path:
        """Where it keeps its states; there since it began."""
        return self._state_dir / self.stage / self._slot

    def output(self) -> str:
        """All it said."""
        return (self._state_dir / f"{self.stage}-{self._slot}.log").read_text()


def behind(log: KafkaLog, stage: str) -> int:
    """Records that a stage has not committed."""
    topics = RAW_TOPICS if stage == "ingest" else FOLD_TOPICS
    ends = {partition: marks.high for partition, marks in log.watermarks(topics).items()}
    committed = log.committed(app_id("ingest" if stage == "ingest" else "fold"), ends)
    return sum(max(end - committed.get(partition, 0), 0) for partition, end in ends.items())


def drain(log: KafkaLog, *stages: str, timeout_s: float = 90) -> None:
    """Wait until the stages, one after the other, have committed all there is."""
    deadline = time.monotonic() + timeout_s
    for stage in stages:
        while (left := behind(log, stage)) > 0:
            assert time.monotonic() < deadline, f"{stage} is {left} records behind after {timeout_s} s"
            time.sleep(0.2)


def final_bars(log: KafkaLog) -> dict[str, Any]:
    """The last revision of every bar on the log; equal revisions must be equal."""
    bars: dict[str, Any] = {}
    for record in all_records(log, [BARS_1M]):
        bar = decode_bar(record.value)
        before = bars.get(bar.row_id)
        if before is None or bar.rev > before.rev:
            bars[bar.row_id] = bar
        elif bar.rev == before.rev:
            assert before == bar, "equal revisions differ"
    return bars
