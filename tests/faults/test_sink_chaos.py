"""The real sink between a real broker and a real store: killed, held, cut off. Each offset once, and the audit says so."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from tcp_proxy import FaultyProxy

from sinks.audit import contiguity
from sinks.delivery import PLACES
from sinks.tables import Tables
from tapefold import wiring
from tapefold.local.store.process import LocalStore
from tapefold.settings import load_settings
from topics.catalog import RAW_KALSHI_WS
from topics.kafka import KafkaLog


class Arena:
    """A broker, a store behind a proxy, and as many sinks as a test starts."""

    def __init__(self, kafka: KafkaLog, store: LocalStore, proxy: FaultyProxy, folder) -> None:
        self.kafka = kafka
        self.store = store
        self.proxy = proxy
        self.folder = folder
        self.tables = Tables(store.address.url)
        self.appender = kafka.appender()
        self.written = 0
        self.started: list[subprocess.Popen[bytes]] = []
        wiring.migrate(load_settings(), kafka, self.tables)

    def sink(self, failpoint: str = "") -> subprocess.Popen[bytes]:
        """Start one."""
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "CLICKHOUSE_URL": self.proxy.url,
            "TAPEFOLD_FAILPOINT": failpoint,
        }
        with (self.folder / "sink.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tapefold", "run", "sink", "--state-dir", str(self.folder)],
                env=environment,
                stderr=log,
            )
        self.started.append(process)
        return process

    def write(self, count: int) -> None:
        """Append records to all partitions."""
        for number in range(self.written, self.written + count):
            headers = [("kind", b"frame"), ("received_ns", b"%d" % number)]
            self.appender.append(RAW_KALSHI_WS, b"value %d" % number, key=b"%d" % (number % 7), headers=headers)
        self.appender.flush()
        self.written += count

    def committed(self) -> int:
        """Records that are committed."""
        query = "SELECT sum(n) FROM (SELECT max(next) AS n FROM tapefold.sink_commits WHERE topic = {t:String} GROUP BY partition)"
        return int(self.tables.query_rows(query, {"t": RAW_KALSHI_WS}).rows[0][0])

    def drained(self, timeout_s: float = 120.0) -> None:
        """A sink that nobody disturbs brings the rest, and the audit finds nothing; each row stands once physically."""
        self.proxy.faults = 0.0
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
        if all(process.poll() is not None for process in self.started):
            self.sink()
        deadline = time.monotonic() + timeout_s
        while self.committed() < self.written:
            assert time.monotonic() < deadline, (self.folder / "sink.log").read_text()[-3000:]
            time.sleep(0.1)
        for process in self.started:
            process.send_signal(signal.SIGTERM)
        ends = {process.wait(60) for process in self.started}
        # One that has only just started dies of SIGTERM as any process does: it holds nothing yet.
        assert ends <= {0, -signal.SIGKILL, -signal.SIGTERM, wiring.FAILPOINT_EXIT}
        answer = self.tables.query_rows("SELECT count(), uniqExact(_partition, _offset) FROM tapefold.raw_records")
        assert (self.written, self.written) == tuple(answer.rows[0])
        report = contiguity(self.kafka, self.tables, load_settings().sql_dir, now_sql="2100-01-01 00:00:00", full=True)
        assert () == report.findings
        assert report.from_log == report.checked > 0


@pytest.fixture
def arena(own_kafka, tmp_path):
    """A broker and a store of the test's own."""
    with LocalStore(tmp_path / "store") as store, FaultyProxy(store.address.url, seed=1, faults=0.0) as proxy:
        arena = Arena(own_kafka, store, proxy, tmp_path)
        yield arena
        for process in arena.started:
            process.kill()
            process.wait()
        arena.tables.close()


def disturb(arena: Arena, rng: random.Random, *, records: int, kills: int) -> int:
    """Records come in while sinks are killed and held for a while, and connections are cut; the number of faults."""
    arena.proxy.faults = 0.3
    sinks = [arena.sink(), arena.sink()]
    for _ in range(kills):
        arena.write(records // kills)
        time.sleep(rng.uniform(0.3, 1.5))
        which = rng.randrange(2)
        if rng.random() < 0.3:
            sinks[which].send_signal(signal.SIGSTOP)  # a zombie: it will go on as if nothing had been
            time.sleep(rng.uniform(0.5, 1.5))
            sinks[which].send_signal(signal.SIGCONT)
        else:
            sinks[which].kill()
            sinks[which].wait()
            sinks[which] = arena.sink(f"{rng.choice(PLACES)}:{rng.randrange(2, 9)}" if rng.random() < 0.5 else "")
    return kills + sum(arena.proxy.met.values())


@pytest.mark.timeout(300)
def test_two_sinks_that_are_killed_and_cut_off_leave_each_offset_once(arena):
    """A short form: kill -9, SIGSTOP, connections cut after N bytes, answers that never come, two sinks at a time."""
    disturb(arena, random.Random(3), records=6_000, kills=8)
    assert sum(arena.proxy.met.values()) > 0
    arena.drained()


@pytest.mark.timeout(300)
def test_a_store_killed_under_two_sinks_leaves_each_offset_once(arena):
    """Kill -9 of the store while rows come in; both sinks wait and go on."""
    arena.sink()
    arena.sink()
    for _ in range(3):
        arena.write(2_000)
        time.sleep(1.0)
        arena.store.kill()
        time.sleep(0.5)
        arena.store.start()
        arena.proxy.target(arena.store.address.url)
        arena.tables = Tables(arena.store.address.url)
    arena.drained()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("passing", [1, 3])
@pytest.mark.parametrize("place", PLACES)
def test_a_process_that_dies_at_a_place_and_its_successor_that_dies_there(arena, place, passing):
    """Every place, in the first and in a middle batch; the one that adopts dies at the same place."""
    arena.write(200)
    first = arena.sink(f"{place}:{passing}")
    for _ in range(100):
        if first.poll() is not None:
            break
        arena.write(50)
        time.sleep(0.2)
    assert first.poll() == wiring.FAILPOINT_EXIT
    arena.sink(f"{place}:1")
    time.sleep(4)
    arena.drained()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(5))
def test_nine_thousand_records_and_a_hundred_faults(arena, seed):
    """The long form: five times 9,000 records and 100 kills, zombies and cuts."""
    faults = disturb(arena, random.Random(seed), records=9_000, kills=60)
    assert faults >= 100, arena.proxy.met
    arena.drained()
