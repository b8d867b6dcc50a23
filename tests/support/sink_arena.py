"""Real sinks between a real broker and a real store, behind a proxy that breaks connections; and what is done to them."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from tcp_proxy import FaultyProxy

from sinks.audit import contiguity
from sinks.delivery import PLACES
from sinks.tables import StatementRefused, StoreUnavailable, Tables
from tapefold import migrating, wiring
from tapefold.local.store.process import LocalStore
from tapefold.settings import load_settings
from topics.catalog import BARS_1M, FACT_TRADE, RAW_KALSHI_WS
from topics.codec import decode_bar, decode_fact, encode
from topics.events import Bar
from topics.kafka import KafkaLog
from topics.log import read_ranges

FACTS_EVERY = 9  # one record of so many is a trade
BARS_EVERY = 5  # one of so many is a revision of one of a few bars, which may be older than the one before it
TOPICS = (RAW_KALSHI_WS, FACT_TRADE, BARS_1M)
_EXAMPLES = Path(__file__).parents[2] / "topics" / "examples"
_FINAL = (
    "SELECT _partition, _offset, assumeNotNull(_key), value FROM tapefold.raw_records FINAL"
    " WHERE _topic = {topic:String} ORDER BY _partition, _offset"
)


class Arena:
    """A broker, a store behind a proxy, and as many sinks as a test starts."""

    def __init__(self, kafka: KafkaLog, store: LocalStore, proxy: FaultyProxy, folder: Path) -> None:
        self.kafka = kafka
        self.store = store
        self.proxy = proxy
        self.folder = folder
        self.tables = Tables(store.address.url)
        self.appender = kafka.appender()
        self.started: list[subprocess.Popen[bytes]] = []
        golden = (_EXAMPLES / f"{FACT_TRADE}.jsonl").read_bytes().splitlines()
        self._trade = decode_fact(golden[0])
        self._bar = decode_bar((_EXAMPLES / f"{BARS_1M}.jsonl").read_bytes().splitlines()[0])
        migrating.migrate(load_settings(), kafka, self.tables)
        self.written = self._on_log()

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
        """Append records to all partitions, now and then a trade with an id of its own."""
        for number in range(self.written, self.written + count):
            key = b"%d" % (number % 7)
            if number % FACTS_EVERY == 0:
                told = msgspec.structs.replace(self._trade, trade_id=f"t{number}")
                self.appender.append(FACT_TRADE, msgspec.json.encode(told), key=key)
            elif number % BARS_EVERY == 0:
                self.appender.append(BARS_1M, encode(self._revision(number)), key=key)
            else:
                headers = [("kind", b"frame"), ("received_ns", b"%d" % number)]
                self.appender.append(RAW_KALSHI_WS, b"value %d" % number, key=key, headers=headers)
        self.appender.flush()
        self.written += count

    def _revision(self, number: int) -> Bar:
        """A bar of one of four markets, under a revision of its own; those of one market come in any partition and order."""
        fields = {"market_ticker": f"M{number % 4}", "row_id": f"b{number}", "rev": number ^ 64, "trades": number}
        return msgspec.structs.replace(self._bar, **fields)

    def committed(self) -> int:
        """Records that are committed."""
        query = (
            "SELECT sum(n) FROM (SELECT max(next) AS n FROM tapefold.sink_commits"
            " WHERE topic IN {topics:Array(String)} GROUP BY topic, partition)"
        )
        return int(self.tables.query_rows(query, {"topics": list(TOPICS)}).rows[0][0])

    def moves_on(self, before: int, timeout_s: float) -> bool:
        """Whether more than `before` is committed in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with contextlib.suppress(StoreUnavailable, StatementRefused):
                if self.committed() > before:
                    return True
            time.sleep(0.05)
        return False

    def drained(self, timeout_s: float = 120.0) -> None:
        """A sink that nobody disturbs brings the rest; all is in order, and each row stands once physically."""
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
        # Whoever waits for an answer that the proxy swallowed waits for as long as the driver does: 120 s.
        ends = {process.wait(150) for process in self.started}
        # One that has only just started dies of SIGTERM as any process does: it holds nothing yet.
        assert ends <= {0, -signal.SIGKILL, -signal.SIGTERM, wiring.FAILPOINT_EXIT}
        self.started.clear()
        answer = self.tables.query_rows("SELECT count(), uniqExact(_partition, _offset) FROM tapefold.raw_records")
        assert answer.rows[0][0] == answer.rows[0][1], "rows of bronze stand twice"
        self.in_order()

    def in_order(self) -> None:
        """FINAL holds what the log holds, by its newest revision; each trade is told once; the audit of all finds nothing."""
        ends = {key: mark.high for key, mark in self.kafka.watermarks([RAW_KALSHI_WS]).items()}
        parts = read_ranges(self.kafka, dict.fromkeys(ends, 0), ends)
        expected = sorted(
            (part.partition, *row) for part in parts for row in zip(part.offsets, part.keys, part.values, strict=True)
        )
        found = self.tables.query_rows(_FINAL, {"topic": RAW_KALSHI_WS}).rows
        assert expected == [(part, at, bytes(key, "ascii"), bytes(value, "ascii")) for part, at, key, value in found]
        ids = [name for (name,) in self.tables.query_rows("SELECT trade_id FROM tapefold_api.trades").rows]
        assert sorted(ids) == sorted(f"t{number}" for number in range(0, self.written, FACTS_EVERY))
        told = [number for number in range(self.written) if number % FACTS_EVERY and number % BARS_EVERY == 0]
        newest: dict[str, int] = {}
        for number in sorted(told, key=lambda each: each ^ 64):
            newest[f"M{number % 4}"] = number
        shown = self.tables.query_rows("SELECT market_ticker, rev, trades FROM tapefold.bars_1m FINAL").rows
        assert sorted((name, number ^ 64, number) for name, number in newest.items()) == sorted(map(tuple, shown))
        journal = self.tables.query_rows("SELECT trades FROM tapefold.bars_1m_journal FINAL").rows
        assert told == sorted(number for (number,) in journal)
        report = contiguity(self.kafka, self.tables, load_settings().sql_dir, now_sql="2100-01-01 00:00:00", full=True)
        assert () == report.findings
        assert report.from_log == report.checked > 0

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.started:
            process.kill()
            process.wait()
        self.tables.close()

    def _on_log(self) -> int:
        marks = self.kafka.watermarks(TOPICS)
        return sum(mark.high for mark in marks.values())


@contextlib.contextmanager
def opened(kafka: KafkaLog, folder: Path, seed: int = 1) -> Iterator[Arena]:
    """An arena in a folder, which may hold what an earlier one left."""
    with LocalStore(folder / "store") as store, FaultyProxy(store.address.url, seed=seed, faults=0.0) as proxy:
        arena = Arena(kafka, store, proxy, folder)
        try:
            yield arena
        finally:
            arena.end()


class Storm:
    """Faults that befall two sinks and their store while records come in; the numbers of what happened are `met`.

    zombie_s: for how long a sink is held; it goes on as if nothing had been, while the other one works.
    """

    def __init__(self, arena: Arena, rng: random.Random, *, zombie_s: float) -> None:
        self.met = {"kill": 0, "zombie": 0, "store": 0}
        self._arena = arena
        self._rng = rng
        self._zombie_s = zombie_s
        self._sinks = [arena.sink(), arena.sink()]
        self._held: dict[int, float] = {}  # which of the two, until when

    def total(self) -> int:
        """Faults so far, connections that were broken among them."""
        return sum(self.met.values()) + sum(self._arena.proxy.met.values())

    def rage(self, records: int, plan: list[str], broken: float = 0.3) -> None:
        """Let the faults of `plan` happen, each when the one before is digested, while `records` come in."""
        self._arena.proxy.faults = broken
        doing: dict[str, Callable[[], None]] = {"kill": self._kill, "zombie": self._hold, "store": self._kill_store}
        left = records
        for number, fault in enumerate(plan):
            count = left // (len(plan) - number)
            before = self._committed()
            self._arena.write(count)
            left -= count
            self._arena.moves_on(before, timeout_s=4.0)
            time.sleep(self._rng.uniform(0.0, 0.6))
            self._let_go()
            doing[fault]()
        while self._held:
            time.sleep(0.1)
            self._let_go()

    def _committed(self) -> int:
        while True:
            with contextlib.suppress(StoreUnavailable, StatementRefused):
                return self._arena.committed()
            time.sleep(0.1)

    def _kill(self) -> None:
        which = self._rng.choice([number for number in (0, 1) if number not in self._held] or [0])
        self._held.pop(which, None)
        self._sinks[which].kill()
        self._sinks[which].wait()
        place = f"{self._rng.choice(PLACES)}:{self._rng.randrange(2, 9)}"
        self._sinks[which] = self._arena.sink(place if self._rng.random() < 0.5 else "")
        self.met["kill"] += 1

    def _hold(self) -> None:
        which = self._rng.randrange(2)
        if self._held or self._sinks[which].poll() is not None:
            self._kill()  # one of them must work
            return
        self._sinks[which].send_signal(signal.SIGSTOP)
        self._held[which] = time.monotonic() + self._zombie_s
        self.met["zombie"] += 1

    def _kill_store(self) -> None:
        self._arena.store.kill()
        time.sleep(self._rng.uniform(0.1, 1.0))
        self._arena.proxy.target(self._arena.store.start().url)
        self.met["store"] += 1

    def _let_go(self) -> None:
        for which, until in list(self._held.items()):
            if time.monotonic() >= until:
                self._sinks[which].send_signal(signal.SIGCONT)
                del self._held[which]
        for which, process in enumerate(self._sinks):
            if process.poll() is not None:  # died at its failpoint
                self._sinks[which] = self._arena.sink()
                self.met["kill"] += 1
