"""A sink holds two batches and no more: while its store is dead, however much comes in, and while it catches up."""

import random
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from sink_arena import Arena, opened

from tapefold.local.kafka import LocalKafka
from topics.catalog import RAW_KALSHI_WS
from topics.kafka import KafkaLog

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WARM_UP, RECORDS = 150_000, 500_000
VALUE = b"x" * 400
RSS_MB_MAX = 600  # two batches of 50,000 rows, their Arrow, and what librdkafka fetches ahead; measured: 460
SMALL, LARGE = 250_000, 60_000  # of 200 and 4,000 bytes
CATCH_UP_MB_MAX = 700  # measured: 576; with 64 MiB a batch and ahead, and fetches of 50 MiB: 1,027
GROWTH_MB_MAX = 60  # after warm-up: of allocators, not of records, which would be 200 MB of values alone
HEADERS = [("source", b"kalshi.ws"), ("kind", b"frame"), ("received_ns", b"1786000000000000000"), ("clock", b"wall")]


def append(arena: Arena, values: Iterable[bytes]) -> None:
    """Records of the raw topic, which the arena does not know of."""
    appender = arena.kafka.appender()
    for number, value in enumerate(values):
        appender.append(RAW_KALSHI_WS, value, key=b"%d" % (number % 97), headers=HEADERS)
    appender.close()


def frames(count: int, size_bytes: int) -> list[bytes]:
    """So many of a thousand values that the log compresses as it does the exchange's: some four times."""
    rng = random.Random(size_bytes)
    fields = size_bytes // 40
    told = b'{"price":%3d,"delta":%6d,"ts":1786%06d}'
    made = [b"".join(told % _numbers(rng) for _ in range(fields)) for _ in range(1_000)]
    return [made[number % 1_000] for number in range(count)]


def _numbers(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(100), rng.randrange(100_000), rng.randrange(1_000_000)


def rss_mb(pid: int, what: str = "VmRSS") -> float:
    """What the process holds in memory; VmHWM: the most that it ever did."""
    (line,) = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith(what)]
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
        append(arena, [VALUE] * WARM_UP)
        warm_mb = held_mb(sink.pid, 20.0)
        append(arena, [VALUE] * (RECORDS - WARM_UP))
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


def test_a_backlog_costs_no_more_than_the_batches_under_way(tmp_path: Path) -> None:
    """300 MB of large and small values wait for a sink that starts: what it holds is bound by bytes, not by the backlog."""
    with LocalKafka(tmp_path / "kafka") as broker, opened(KafkaLog(broker.address.bootstrap), tmp_path) as arena:
        append(arena, frames(SMALL, 200))
        append(arena, frames(LARGE, 4_000))
        sink = arena.sink()
        began = time.monotonic()
        while arena.committed() < SMALL + LARGE:
            assert time.monotonic() - began < 240
            assert sink.poll() is None
            time.sleep(0.2)
        most_mb = rss_mb(sink.pid, "VmHWM")
        print(f"RSS of the sink: {most_mb:.0f} MB at most, {time.monotonic() - began:.0f} s")  # noqa: T201
        assert most_mb < CATCH_UP_MB_MAX
