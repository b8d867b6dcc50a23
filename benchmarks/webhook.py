"""The webhook receiver: signed requests a second into Kafka, and honest senders beside 500 slow sockets and a body of 1 GiB.

    python benchmarks/webhook.py [--seconds 20] [--rate 1000]

Receiver, broker and sender share this machine. A request counts when its answer is 200, hence when Kafka has it.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from webhook_door import SECRET, Process, create_topics, stored

from tapefold.local.kafka import LocalKafka
from tapefold.simulators.webhook.events import Mix, deliveries
from tapefold.simulators.webhook.sender import Plan, run
from topics.kafka import KafkaLog


def measure(process, name, plan, seed):
    before = process.cpu_s()
    report = asyncio.run(
        run(
            process.url, plan, deliveries(seed, "standard", Mix()), now_s=lambda: int(time.time()), stop=asyncio.Event()
        )
    )
    said = report.summary()
    cpu_us = (process.cpu_s() - before) / max(1, said["attempts"]) * 1e6
    print(
        f"{name:34} {said['per_second']:8,.0f} requests/s  p50 {said['p50_ms']:6.1f} ms  p99 {said['p99_ms']:6.1f} ms  "
        f"max {said['max_ms']:6.1f} ms  receiver {cpu_us:4.0f} us each  {said['answers']}"
        + (f"  1 GiB body: {said['huge']}" if plan.huge_bytes else "")
    )
    return len(report.acknowledged)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=20.0)
    arguments.add_argument("--rate", type=float, default=1_000.0)
    options = arguments.parse_args()
    count = int(options.seconds * options.rate)
    with tempfile.TemporaryDirectory() as folder, LocalKafka(Path(folder) / "kafka") as broker:
        log = KafkaLog(broker.address.bootstrap)
        create_topics(log)
        process = Process(broker.address.bootstrap, Path(folder), WEBHOOK_RATE_PER_SECOND="1000000")
        time.sleep(2)
        most = Plan(scheme="standard", secret=SECRET, count=count, connections=20)
        acknowledged = measure(process, "as fast as they go", most, 1)
        paced = Plan(scheme="standard", secret=SECRET, count=count, rate=options.rate, connections=50)
        acknowledged += measure(process, f"at {options.rate:,.0f} a second", paced, 2)
        beside = Plan(
            scheme="standard", secret=SECRET, count=count // 10, rate=options.rate / 10, slow=500, huge_bytes=1 << 30
        )
        acknowledged += measure(process, "a tenth of it, and 500 slow sockets", beside, 3)
        process.stop()
        print(f"acknowledged {acknowledged}, on the log {len(stored(log))}")


if __name__ == "__main__":
    main()
