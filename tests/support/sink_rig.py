"""A sink at work on a log in memory and a real store: writers, faults of the store, places to die at."""

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import pyarrow as pa
import pytest

from sinks.delivery import Delivery
from sinks.evolution import OUR_SCHEMA
from sinks.tables import DATABASE, StoreUnavailable, Tables
from sinks.writer import SinkWriter
from topics.failpoint import nothing
from topics.log import MemoryLog

RAW = "raw.kalshi.ws"
OWNERS = itertools.count()
NOW_NS = 1_786_000_000_000_000_000


class Journal:
    """A logger that remembers."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **_: object) -> None:
        """Remember the event."""
        self.events.append(event)

    def warning(self, event: str, **_: object) -> None:
        """Remember the event."""
        self.events.append(event)


class FaultyTables(Tables):
    """A store whose next inserts into a table end as planned: before, after, half, or as a token without rows."""

    def __init__(self, url: str, *plan: tuple[str, str]) -> None:
        super().__init__(url)
        self.plan = list(plan)
        self.never: set[int] = set()  # bronze inserts that begin with these offsets always fail
        self.tried = 0
        self.away = False

    def insert_arrow(
        self, table: str, rows: pa.Table, token: str, database: str = DATABASE, **options: Any
    ) -> int | None:
        """Insert, unless the plan's next entry is for this table."""
        self.tried += 1
        if self.away:
            raise StoreUnavailable("away")
        if table == "raw_records" and rows["_offset"][0].as_py() in self.never:
            raise StoreUnavailable("never")
        if not self.plan or self.plan[0][0] != table:
            return super().insert_arrow(table, rows, token, database, **options)
        _, fault = self.plan.pop(0)
        if fault == "after":
            super().insert_arrow(table, rows, token)
        if fault == "half":
            super().insert_arrow(table, rows.slice(0, len(rows) // 2), token + "half")
        if fault == "token only":  # the store remembers the token of a part that it lost (ClickHouse PR#110429)
            super().insert_arrow(table, rows, token)
            self.command(f"ALTER TABLE tapefold.{table} DELETE WHERE 1 SETTINGS mutations_sync = 2")
            return len(rows)
        raise StoreUnavailable(fault, 252 if fault == "too many parts" else None)


def fill(log: MemoryLog, count: int, first: int = 0) -> None:
    """Append raw records whose value is their number."""
    appender = log.appender()
    for number in range(first, first + count):
        appender.append(RAW, b"%d" % number, partition=number % 2, timestamp_ms=NOW_NS // 1_000_000)


def writer(log: MemoryLog, tables: Tables, journal: Journal | None = None, **options: Any) -> SinkWriter:
    """A writer with a short batch."""
    return SinkWriter(
        log,
        tables,
        **{
            "now_ns": lambda: NOW_NS,
            "logger": journal or Journal(),
            "code_version": "v1",
            "owner": f"writer-{next(OWNERS)}",
            "batch_wait_s": 0.05,
            **options,
        },
    )


def hands(log: MemoryLog, tables: Tables) -> Delivery:
    """What a writer, or a repair, works with."""
    return Delivery(
        log,
        tables,
        sink="main",
        now_ns=lambda: NOW_NS,
        logger=Journal(),
        code_version="v1",
        hit=nothing,
        compatible=OUR_SCHEMA,
    )


class KilledHere(BaseException):
    """What a failpoint raises in these tests: nothing catches it, as nothing catches a SIGKILL."""


def dying(place: str, passings: int = 1) -> Callable[[str], None]:
    """A failpoint at which a writer ends."""
    left = [passings]

    def hit(name: str) -> None:
        left[0] -= name == place
        if not left[0]:
            raise KilledHere

    return hit


def killed_at(place: str, log: MemoryLog, tables: Tables, passings: int = 1, **options: Any) -> None:
    """Run a writer until it is killed at a place."""
    with pytest.raises(KilledHere):
        writer(log, tables, hit=dying(place, passings), **options).run(threading.Event())


class Running:
    """A writer at work in a thread of its own; leaving the block stops it and raises what it raised."""

    def __init__(self, sink: SinkWriter) -> None:
        self.sink = sink
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.sink.run(self._stop)
        except BaseException as error:  # noqa: BLE001  # carried to the test
            self._failure = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def until(self, reached: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Wait for a state."""
        deadline = time.monotonic() + timeout_s
        while not reached():
            assert time.monotonic() < deadline, "expected the state to be reached in time"
            assert self._failure is None, self._failure
            time.sleep(0.01)

    def drained(self) -> None:
        """Wait until all that is on the log is committed."""
        self.until(lambda: bool(self.sink.positions()) and self.sink.lag() == 0)


def bronze(tables: Tables) -> tuple[int, int]:
    """(physical rows, distinct offsets) of bronze."""
    answer = tables.query_rows("SELECT count(), uniqExact(_topic, _partition, _offset) FROM tapefold.raw_records")
    physical, distinct = answer.rows[0]
    return physical, distinct


def chain(tables: Tables, topic: str = RAW) -> list[list[tuple[int, int, int]]]:
    """The commits of each partition: (first, next, rows)."""
    answer = tables.query_rows(
        "SELECT groupArray((first, next, rows)) FROM"
        " (SELECT * FROM tapefold.sink_commits WHERE topic = {topic:String} ORDER BY partition, first)"
        " GROUP BY partition ORDER BY partition",
        {"topic": topic},
    )
    return [[tuple(each) for each in commits] for (commits,) in answer.rows]
