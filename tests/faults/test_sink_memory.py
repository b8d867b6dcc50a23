"""A sink whose store is dead holds two batches and no more, for as long as it lasts and however much comes in."""

import time
from pathlib import Path

import pytest
from sink_arena import Arena, opened

from tapefold.local.kafka import LocalKafka
from topics.catalog import RAW_KALSHI_WS
from topics.kafka import KafkaLog

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WARM_UP, RECORDS = 150_000, 500_000
VALUE = b"x" * 400
RSS_MB_MAX = 600  # two batches of 50,000 rows, their Arrow, and what librdkafka fetches ahead; measured: 470
GROWTH_MB_MAX = 60  # after warm-up: of allocators, not of records, which would be 200 MB of values alone


def append(arena: Arena, count: int) -> None:
    """Records of the raw topic, which the arena does not know of."""
    appender = arena.kafka.appender()
    for number in range(count):
        appender.append(RAW_KALSHI_WS, VALUE, key=b"%d" % (number % 97), headers=[("kind", b"frame")])
    appender.close()


def rss_mb(pid: int) -> float:
    """What the process holds in memory."""
    (line,) = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def held_mb(pid: int, wait_s: float) -> float:
    """The most that the process held within so many seconds."""
    most_mb = 0.0
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        most_mb = max(most_mb, rss_mb(pid))
        time.sleep(0.2)
    return most_mb


def test_a_dead_store_costs_no_memory_however_much_comes_in(tmp_path: Path) -> None:
    """500,000 records arrive while it is away; when it is back, all of them are written."""
    with LocalKafka(tmp_path / "kafka") as broker, opened(KafkaLog(broker.address.bootstrap), tmp_path) as arena:
        sink = arena.sink()
        arena.write(100)
        assert arena.moves_on(99, 60.0)
        before_mb = rss_mb(sink.pid)
        arena.store.kill()
        append(arena, WARM_UP)
        warm_mb = held_mb(sink.pid, 20.0)
        append(arena, RECORDS - WARM_UP)
        end_mb = held_mb(sink.pid, 20.0)
        print(f"RSS of the sink: {before_mb:.0f} MB idle, {warm_mb:.0f} MB warm, {end_mb:.0f} MB at the end")  # noqa: T201
        assert sink.poll() is None
        assert end_mb < RSS_MB_MAX
        assert end_mb - warm_mb < GROWTH_MB_MAX
        arena.proxy.target(arena.store.start().url)
        deadline = time.monotonic() + 240
        while arena.committed() < 100 + RECORDS:
            assert time.monotonic() < deadline
            time.sleep(0.5)
