"""A receiver as a process of its own, on a broker of the test's."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tapefold.migrating import topic_settings
from topics.catalog import H_KIND, RAW_WEBHOOK
from topics.kafka import KafkaLog
from topics.log import Record, all_records

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the specification's example


def create_topics(log: KafkaLog, partitions: int = 4) -> None:
    """Those of the catalogue."""
    log.create(topic_settings(), partitions)


def stored(log: KafkaLog) -> list[Record]:
    """All records of raw.webhook that are requests."""
    return told(log, b"frame")


def told(log: KafkaLog, kind: bytes) -> list[Record]:
    """All records of raw.webhook of one kind, in the order of their stamps."""
    found = [record for record in all_records(log, [RAW_WEBHOOK]) if (H_KIND, kind) in record.headers]
    return sorted(found, key=lambda record: record.timestamp_ms)


class Process:
    """`tapefold run webhook`. url: of its one provider; health: what it says of itself."""

    def __init__(self, bootstrap: str, state_dir: Path, **environment: str) -> None:
        self.log_path = state_dir / "webhook.log"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tapefold", "run", "webhook", "--state-dir", str(state_dir)],
                stdout=subprocess.PIPE,
                stderr=log,
                env={
                    **os.environ,
                    "KAFKA_BOOTSTRAP": bootstrap,
                    "WEBHOOK_SECRET": SECRET,
                    "WEBHOOK_PORT": "0",
                    **environment,
                },
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode()
        assert line.startswith("WEBHOOK_URL="), self.log_path.read_text()
        self.url = line.strip().partition("=")[2]

    def health(self) -> tuple[int, dict]:
        """Status and body of /healthz."""
        base = self.url.partition("/webhooks/")[0]
        try:
            with urllib.request.urlopen(f"{base}/healthz", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def died(self, timeout_s: float) -> int:
        """Its exit code, when it has ended by itself."""
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """Kill -9."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def cpu_s(self) -> float:
        """Processor time used so far."""
        import psutil  # noqa: PLC0415  # benchmarks alone ask

        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system
