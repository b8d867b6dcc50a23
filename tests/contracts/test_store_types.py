"""The column types that Tapefold's tables are made of, filled from Arrow, on the embedded store and on a server alike."""

# the expected value stands on the left, by the rule of this repo

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

PAIRS = [("k1", "v1"), ("k1", "v2"), ("k2", "")]
SHOWN_PAIRS = "[('k1','v1'),('k1','v2'),('k2','')]"
STRUCTS = pa.list_(pa.struct([("1", pa.string()), ("2", pa.string())]))


@pytest.fixture
def name(client: Client) -> Iterator[str]:
    """The name of a table that the test makes, gone after it."""
    name = f"t_{uuid.uuid4().hex}"
    yield name
    client.command(f"DROP TABLE IF EXISTS {name}")


@pytest.mark.parametrize(
    ("kind", "array", "shown"),
    [
        ("Decimal(18, 6)", pa.array([Decimal("-12.345678")], pa.decimal128(18, 6)), "-12.345678"),
        ("Decimal(18, 4)", pa.array([Decimal("0.4200")], pa.decimal128(18, 4)), "0.42"),
        (
            "DateTime64(9, 'UTC')",
            pa.array([1_772_240_523_123_456_789], pa.timestamp("ns", "UTC")),
            "2026-02-28 01:02:03.123456789",
        ),
        ("LowCardinality(String)", pa.array(["kalshi"]), "kalshi"),
        ("LowCardinality(String)", pa.array(["kalshi"]).dictionary_encode(), "kalshi"),
        ("LowCardinality(Nullable(String))", pa.array([None], pa.string()).dictionary_encode(), r"\N"),
        ("Nullable(Int32)", pa.array([None], pa.int32()), r"\N"),
        ("Nullable(Decimal(18, 6))", pa.array([None], pa.decimal128(18, 6)), r"\N"),
        ("Array(Tuple(String, String))", pa.array([PAIRS], pa.map_(pa.string(), pa.string())), SHOWN_PAIRS),
        (
            "Array(Tuple(String, String))",
            pa.array([[{"1": k, "2": v} for k, v in PAIRS]], STRUCTS),
            SHOWN_PAIRS,
        ),
        ("Map(String, String)", pa.array([PAIRS], pa.map_(pa.string(), pa.string())), "{'k1':'v1','k1':'v2','k2':''}"),
        ("UInt128", pa.array([(2**100).to_bytes(16, "little")], pa.binary(16)), str(2**100)),
    ],
)
def test_arrow_column(client: Client, name: str, kind: str, array: Any, shown: str) -> None:
    """A value of an Arrow column arrives in the ClickHouse column it is meant for."""
    client.command(f"CREATE TABLE {name} (v {kind}) ENGINE = MergeTree ORDER BY tuple()")
    client.insert_arrow(name, pa.table({"v": array}))
    assert f"{shown}\n" == client.raw_query(f"SELECT v FROM {name} FORMAT TSVRaw").decode()


def test_bytes_that_are_no_text(client: Client, name: str) -> None:
    """Any bytes fit into a String column from an Arrow binary column."""
    client.command(f"CREATE TABLE {name} (v String) ENGINE = MergeTree ORDER BY tuple()")
    client.insert_arrow(name, pa.table({"v": pa.array([bytes(range(256))], pa.binary())}))
    assert bytes(range(256)).hex().upper() == client.command(f"SELECT hex(v) FROM {name}")


@pytest.mark.parametrize(
    ("declared", "settings", "code"),
    [
        ("v UInt32, CONSTRAINT small CHECK v < 5", "", 469),
        ("v UInt32, w UInt8 MATERIALIZED throwIf(v > 5)", "", 395),
        ("v UInt32", " SETTINGS parts_to_throw_insert = 1, parts_to_delay_insert = 1", 252),
    ],
)
def test_what_a_table_refuses_is_told(client: Client, name: str, declared: str, settings: str, code: int) -> None:
    """An insert that the table does not take is not acknowledged: its code is told, and its rows are not there."""
    client.command(f"CREATE TABLE {name} ({declared}) ENGINE = MergeTree ORDER BY tuple(){settings}")
    client.command(f"SYSTEM STOP MERGES {name}")
    client.insert_arrow(name, pa.table({"v": pa.array([1], pa.uint32())}))
    with pytest.raises(DatabaseError) as caught:
        client.insert_arrow(name, pa.table({"v": pa.array([7], pa.uint32())}))
    assert (code, 1) == (caught.value.code, client.command(f"SELECT count() FROM {name}"))


def test_an_insert_after_any_failure_is_acknowledged(client: Client, name: str) -> None:
    """What another statement failed by is not told of one that comes after it; a table that refuses still says so."""
    client.command(f"CREATE TABLE {name} (v UInt32, CONSTRAINT small CHECK v < 5) ENGINE = MergeTree ORDER BY tuple()")
    good, refused = (pa.table({"v": pa.array([value], pa.uint32())}) for value in (1, 7))
    failing: list[Callable[[], object]] = [
        lambda: client.command("SELECT nothing FROM nowhere"),
        lambda: client.command(f"INSERT INTO {name} SELECT 7"),
        lambda: client.raw_insert(name, insert_block="no number", fmt="CSV"),
        lambda: client.insert_arrow(name, refused),
    ]
    for count, fail in enumerate(failing * 2, 1):
        with pytest.raises(DatabaseError):
            fail()
        client.insert_arrow(name, good)
        assert count == client.command(f"SELECT count() FROM {name}")
        with pytest.raises(DatabaseError):
            client.insert_arrow(name, refused)


def test_newest_version_wins(client: Client, name: str) -> None:
    """A view with FINAL over a ReplacingMergeTree shows the row with the highest UInt128 version."""
    client.command(f"CREATE TABLE {name} (k String, v String, at UInt128) ENGINE = ReplacingMergeTree(at) ORDER BY k")
    client.command(f"CREATE VIEW {name}_newest AS SELECT k, v FROM {name} FINAL")
    for value, version in [("first", 2**64), ("newest", 2**127), ("stale", 2**64 + 1)]:
        client.insert(name, [["key", value, version]], column_names=["k", "v", "at"])
    assert [("key", "newest")] == client.query(f"SELECT * FROM {name}_newest").result_rows
    client.command(f"OPTIMIZE TABLE {name} FINAL")
    assert [("newest", 2**127)] == client.query(f"SELECT v, at FROM {name}").result_rows
    client.command(f"DROP VIEW {name}_newest")


def test_parameterized_view(client: Client, name: str) -> None:
    """A view with a parameter is asked as a function of it."""
    client.command(f"CREATE VIEW {name} AS SELECT number FROM numbers(10) WHERE number < {{top:UInt64}}")
    assert 3 == client.command(f"SELECT count() FROM {name}(top = 3)")


def test_own_database(client: Client, name: str) -> None:
    """A database can be made, filled and dropped."""
    client.command(f"CREATE DATABASE {name}")
    client.command(f"CREATE TABLE {name}.t (a UInt8) ENGINE = MergeTree ORDER BY a")
    client.insert(f"{name}.t", [[1], [2]], column_names=["a"])
    assert 2 == client.command(f"SELECT count() FROM {name}.t")
    client.command(f"DROP DATABASE {name}")
