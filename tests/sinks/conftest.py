"""An empty, migrated store, and events that are short to write."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stored import empty

from sinks.migrate import migrate
from sinks.tables import Tables
from topics.catalog import SINK_TOPICS
from topics.events import Bar, Beat, BookTop, Cause, Coverage, GapRow, Trade
from topics.log import MemoryLog, Record

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"
T0_NS = 1_786_000_000_123_456_789


class Make:
    """Builds events with every field set; the arguments are the fields that matter to a test."""

    t0_ns = T0_NS

    def cause(self, offset: int = 7, *, topic: str = "raw.kalshi.ws", partition: int = 1, index: int = 0) -> Cause:
        """Where a fact was read."""
        return Cause(topic, partition, offset, index)

    def fact(self, **fields: Any) -> dict[str, Any]:
        """What every fact carries."""
        return {
            "market_ticker": "KXHIGHMIA-26AUG06-B92",
            "event_ns": T0_NS,
            "received_ns": T0_NS + 1,
            "known_ns": T0_NS + 2,
            "known_by": "observed",
            "cause": self.cause(),
            "conn": "a",
            "sid": 3,
            "seq": 11,
            **fields,
        }

    def trade(self, **fields: Any) -> Trade:
        """A trade of 2.5 contracts at 0.48."""
        return Trade(
            **self.fact(
                **{"trade_id": "t1", "yes_price_e6": 480_000, "no_price_e6": 520_000, "size_e4": 25_000, **fields}
            )
        )

    def coverage(self, **fields: Any) -> Coverage:
        """An interval that has begun."""
        return Coverage(
            **self.fact(**{"source": "kalshi.ws", "channel": "trade", "started_ns": T0_NS, "seq": None, **fields})
        )

    def beat(self, **fields: Any) -> Beat:
        """A beat of connection `a`."""
        return Beat(
            **{
                "source": "kalshi.ws",
                "conn": "a",
                "raw_partition": 1,
                "clock_ns": T0_NS,
                "lease_ns": 5_000_000_000,
                **fields,
            }
        )

    def bar(self, **fields: Any) -> Bar:
        """A minute with one trade and no quote."""
        minute_ns = T0_NS // 60_000_000_000 * 60_000_000_000
        return Bar(
            **{
                "row_id": "bar1",
                "rev": 2,
                "market_ticker": "KXHIGHMIA-26AUG06-B92",
                "minute_ns": minute_ns,
                "open_e6": 480_000,
                "high_e6": 480_000,
                "low_e6": 480_000,
                "close_e6": 480_000,
                "volume_e4": 25_000,
                "trades": 1,
                "yes_bid_e6": None,
                "yes_ask_e6": None,
                "closed": False,
                "known_ns": minute_ns + 60_000_000_000,
                "known_by": "observed",
                **fields,
            }
        )

    def book(self, **fields: Any) -> BookTop:
        """Best levels after a delta."""
        return BookTop(
            **{
                **self.fact(),
                "row_id": "book1",
                "kind": "delta",
                "side": "no",
                "price_e6": 520_000,
                "delta_e4": -10_000,
                "trusted": True,
                "yes_bid_e6": 470_000,
                "yes_bid_size_e4": 50_000,
                "yes_ask_e6": None,
                "yes_ask_size_e4": None,
                **fields,
            }
        )

    def gap(self, **fields: Any) -> GapRow:
        """An open hole in the sequence."""
        return GapRow(
            **{
                "row_id": "gap1",
                "rev": 1,
                "source": "kalshi.ws",
                "market_ticker": "KXHIGHMIA-26AUG06-B92",
                "conn": "a",
                "sid": 3,
                "channel": "orderbook_delta",
                "kind": "seq_hole",
                "from_seq": 12,
                "to_seq": 14,
                "noticed_ns": T0_NS,
                "repaired_ns": None,
                "cause": self.cause(),
                **fields,
            }
        )

    def record(self, topic: str, event: Any, offset: int = 0, partition: int = 0) -> Record:
        """The record that carries `event` (a struct, or bytes as they are)."""
        value = event if isinstance(event, bytes) else msgspec.json.encode(event)
        return Record(topic, partition, offset, T0_NS // 1_000_000, b"KXHIGHMIA", (("kind", b"frame"),), value)


@pytest.fixture
def make() -> Make:
    """The builder of events."""
    return Make()


@pytest.fixture
def log() -> MemoryLog:
    """All topics of the sink, two partitions each."""
    memory = MemoryLog()
    memory.create({topic: {} for topic in SINK_TOPICS}, 2)
    return memory


@pytest.fixture
def bare_store(store_url: str) -> Iterator[Tables]:
    """A store without our databases."""
    tables = Tables(store_url)
    for database in ("tapefold_api", "tapefold"):
        tables.command(f"DROP DATABASE IF EXISTS {database} SYNC")
    yield tables
    tables.close()


@pytest.fixture
def tables(store_url: str) -> Iterator[Tables]:
    """A migrated store without rows."""
    store = Tables(store_url)
    migrate(store, MIGRATIONS, lambda: T0_NS)
    empty(store)
    yield store
    store.close()
