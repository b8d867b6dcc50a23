"""A fresh broker for every run: the input is written once per size, and each run starts from a copy of that log."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import workload

from stream_processors.names import changelog_topic
from tapefold.local.kafka import LocalKafka
from tapefold.local.kafka_files import DATA_DIR
from topics.catalog import FACT_TRADE, TOPICS
from topics.kafka import KafkaLog

HEAP_MB = 512
WARM_UP_TOPIC = "warm-up"
WARM_UP_RECORDS = 20_000
WARM_UP_VALUE = b"x" * 300


class Arena:
    """Prepared logs and fresh brokers under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._inputs: dict[int, workload.Input] = {}
        self._runs = 0

    def prepare(self, trades: int) -> workload.Input:
        """Write the input of `trades` trades, once."""
        if trades not in self._inputs:
            with LocalKafka(self._prepared(trades), heap_mb=HEAP_MB) as kafka:
                log = KafkaLog(kafka.address.bootstrap)
                create_topics(log)
                appender = log.appender()
                self._inputs[trades] = workload.append(appender, trades)
                appender.close()
        return self._inputs[trades]

    @contextlib.contextmanager
    def broker(self, trades: int) -> Iterator[tuple[str, Path]]:
        """A broker that has just started on a copy of the prepared log; yields its address and an empty folder."""
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        source = self._prepared(trades) / "kafka" / DATA_DIR
        shutil.copytree(source, folder / "kafka" / DATA_DIR)
        state_dir = folder / "state"
        state_dir.mkdir()
        os.sync()  # the copy's write-back must not fall into the run
        try:
            with LocalKafka(folder, heap_mb=HEAP_MB) as kafka:
                warm_up(KafkaLog(kafka.address.bootstrap))
                yield kafka.address.bootstrap, state_dir
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _prepared(self, trades: int) -> Path:
        return self._folder / f"input-{trades}"


def create_topics(log: KafkaLog) -> None:
    """All topics of the catalogue, kept for ever, and the fold's changelog."""
    settings = {
        topic.name: {"retention.ms": "-1", "message.timestamp.after.max.ms": str(2**63 - 1)} for topic in TOPICS
    }
    settings[changelog_topic()] = {"cleanup.policy": "compact"}
    log.create(settings, workload.PARTITIONS)


def warm_up(log: KafkaLog) -> None:
    """Read the input once and append a little: a broker's first seconds go into compiling itself."""
    log.create({WARM_UP_TOPIC: {}}, workload.PARTITIONS)
    appender = log.appender()
    for number in range(WARM_UP_RECORDS):
        appender.append(WARM_UP_TOPIC, WARM_UP_VALUE, partition=number % workload.PARTITIONS)
        if not number % 500:
            appender.flush(60)  # many small requests compile what one large would not
    appender.close()
    marks = log.watermarks([FACT_TRADE])
    left = sum(mark.high for mark in marks.values())
    reader = log.reader(dict.fromkeys(marks, 0))
    while left:
        left -= len(reader.read(20_000, 1.0))
    reader.close()


class Failed(Exception):
    """A contestant ended without a result. The message holds the end of what it said."""


def run_process(command: Sequence[str], log_path: Path, timeout_s: float, environment: dict[str, str]) -> str:
    """Run one contestant to its end; returns the text after RESULT. Raises Failed."""
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"no result within {timeout_s:.0f} s\n{_tail(log_path)}") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
    for line in output.decode().splitlines():
        if line.startswith("RESULT "):
            return line.removeprefix("RESULT ")
    raise Failed(f"ended with code {process.returncode} without a result\n{_tail(log_path)}")


def _tail(log_path: Path) -> str:
    return log_path.read_text(errors="replace")[-2000:]
