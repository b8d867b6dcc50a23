"""What users read, after every order and repetition in which rows may arrive."""

import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from stored import insert_each, read

from sinks import layouts, rows
from sinks.identity import read_schemas
from sinks.tables import Tables
from topics.events import Market, Tick
from topics.log import Record


def test_the_columns_that_are_sent_are_those_of_the_tables(tables: Tables, make: Any) -> None:
    """Names agree in both directions; only computed columns are not sent. `extra` is, where there are unknown fields."""
    filled = [*layouts.LAYOUTS, "bars_1m_journal", "mos_asof_journal"]
    sent = {table: ["extra", *(name for name, _, _ in rows.layout_of(table))] for table in filled}
    sent[rows.RAW_RECORDS] = rows.build([make.record("raw.kalshi.ws", b"")], topic_ids={}, code_version="v")[
        rows.RAW_RECORDS
    ].column_names
    for table, names in sent.items():
        answer = tables.query_rows(
            "SELECT name FROM system.columns WHERE database = 'tapefold' AND table = {table:String}"
            " AND default_kind != 'MATERIALIZED'",
            {"table": table},
        )
        assert {name for (name,) in answer.rows} == {*names, "_topic", "_partition", "_offset"}, table


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_winner_of_a_trade_is_the_earliest_telling(tables: Tables, make: Any, order: Sequence[int]) -> None:
    """Smallest (known_ns, topic, partition, offset), whatever came first; one row per trade id."""
    known_ns = make.t0_ns
    tellings = [
        make.trade(conn="late", known_ns=known_ns + 1, cause=make.cause(0, topic="raw.a", partition=0)),
        make.trade(conn="ws", known_ns=known_ns, cause=make.cause(1, topic="raw.kalshi.ws", partition=0)),
        make.trade(conn="rest9", known_ns=known_ns, cause=make.cause(9, topic="raw.kalshi.rest", partition=1)),
        make.trade(conn="WINS", known_ns=known_ns, cause=make.cause(8, topic="raw.kalshi.rest", partition=1)),
    ]
    insert_each(tables, *(make.record("fact.trade", tellings[index], offset) for offset, index in enumerate(order)))
    assert [("WINS", 8)] == read(tables, "conn, cause_offset", "trades")
    tables.command("OPTIMIZE TABLE tapefold.trades FINAL")
    assert [("WINS",)] == [tuple(row) for row in tables.query_rows("SELECT conn FROM tapefold.trades").rows]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_tellings_in_one_record_the_first_wins(tables: Tables, make: Any, order: Sequence[int]) -> None:
    """A page of REST may contradict itself: the place within the record decides last."""
    tellings = [make.trade(conn=f"index{index}", cause=make.cause(8, index=index)) for index in range(2)]
    insert_each(tables, *(make.record("fact.trade", tellings[index], offset) for offset, index in enumerate(order)))
    assert [("index0", 0)] == read(tables, "conn, cause_index", "trades")
    tables.command("OPTIMIZE TABLE tapefold.trades FINAL")
    assert [("index0",)] == [tuple(row) for row in tables.query_rows("SELECT conn FROM tapefold.trades").rows]


def test_a_partition_number_decides_before_an_offset(tables: Tables, make: Any) -> None:
    """Numbers are compared as numbers, each in its place."""
    insert_each(
        tables,
        make.record("fact.trade", make.trade(conn="p2", cause=make.cause(1, partition=2)), 0),
        make.record("fact.trade", make.trade(conn="p1", cause=make.cause(2**40, partition=1)), 1),
        make.record("fact.trade", make.trade(conn="p300", cause=make.cause(0, partition=300)), 2),
    )
    assert [("p1",)] == read(tables, "conn", "trades")


def test_trades_are_exactly_typed(tables: Tables, make: Any) -> None:
    """Money is Decimal, times keep nanoseconds."""
    insert_each(tables, make.record("fact.trade", make.trade()))
    assert [(Decimal("0.480000"), Decimal("0.520000"), Decimal("2.5000"), make.t0_ns)] == read(
        tables, "yes_price, no_price, size, toUnixTimestamp64Nano(event_at)", "trades"
    )
    types = {row[0]: row[1] for row in tables.query_rows("DESCRIBE tapefold_api.bars_1m").rows}
    assert "DateTime64(9, 'UTC')" == types["minute"]
    assert "Nullable(Decimal(18, 6))" == types["open"] == types["yes_ask"]
    assert ("Decimal(18, 4)", "UInt32") == (types["volume"], types["trades"])


def test_a_fact_told_again_at_another_offset_is_one_row(tables: Tables, make: Any) -> None:
    """Ticks are told apart by their content, whoever tells them; lifecycle events by their number in their session."""
    numbers = {
        "price_e6": 480_000,
        "yes_bid_e6": 1,
        "yes_ask_e6": 2,
        "volume_e4": 3,
        "open_interest_e4": 4,
    }
    tick = Tick(**make.fact(seq=None, **numbers))
    again = Tick(**make.fact(seq=None, cause=make.cause(index=1), known_ns=tick.known_ns + 1, **numbers))
    other = Tick(**make.fact(seq=None, cause=make.cause(index=2), **numbers | {"price_e6": 490_000}))
    event = Market(**make.fact(event_type="created"))
    insert_each(
        tables, *(make.record("fact.tick", each, offset) for offset, each in enumerate([again, tick, other, again]))
    )
    insert_each(tables, *(make.record("fact.market", event, offset) for offset in (10, 11)))
    assert [(0,), (2,)] == read(tables, "cause_index", "market_ticks")
    assert [("created", "{}")] == read(tables, "event_type, terms", "market_events")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_bar_is_its_latest_revision(tables: Tables, make: Any, order: Sequence[int]) -> None:
    """A late landing of an old revision changes nothing; the journal keeps them all."""
    revisions = [
        make.bar(),
        make.bar(rev=4, close_e6=490_000, trades=2),
        make.bar(rev=5, close_e6=490_000, trades=2, closed=True),
    ]
    insert_each(tables, *(make.record("bars.1m", revisions[index], offset) for offset, index in enumerate(order)))
    assert [(5, Decimal("0.490000"), True)] == read(tables, "rev, close, closed", "bars_1m")
    assert [(2,), (4,), (5,)] == read(tables, "rev", "bars_1m_journal")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_end_replaces_the_open_interval(tables: Tables, make: Any, order: Sequence[int]) -> None:
    """Of two ends the earlier one holds: no more than that is proven."""
    told = [
        make.coverage(),
        make.coverage(ended_ns=make.t0_ns + 9, ended_by="stop"),
        make.coverage(ended_ns=make.t0_ns + 5, ended_by="gap"),
    ]
    insert_each(tables, *(make.record("fact.gap", told[index], offset) for offset, index in enumerate(order)))
    assert [(make.t0_ns + 5, "gap", None)] == read(
        tables, "toUnixTimestamp64Nano(assumeNotNull(ended_at)), ended_by, last_beat_at", "coverage"
    )


def test_the_latest_beat_of_a_connection_holds(tables: Tables, make: Any) -> None:
    """On each raw partition, in whichever order it came."""
    insert_each(
        tables,
        make.record("fact.trade", make.beat(clock_ns=make.t0_ns + 7, raw_partition=2), 2),
        make.record("fact.trade", make.beat(clock_ns=make.t0_ns + 3), 3),
        make.record("fact.trade", make.beat(clock_ns=make.t0_ns + 1), 4),
    )
    assert [(1, make.t0_ns + 3), (2, make.t0_ns + 7)] == read(
        tables, "raw_partition, toUnixTimestamp64Nano(clock_at)", "beats"
    )


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_repaired_gap_is_one_row(tables: Tables, make: Any, order: Sequence[int]) -> None:
    """The repair replaces the open row, also when it lands first."""
    told = [make.gap(), make.gap(rev=2, repaired_ns=make.t0_ns + 5)]
    insert_each(tables, *(make.record("gaps", told[index], offset) for offset, index in enumerate(order)))
    assert [(2, "seq_hole", 12, 14, make.t0_ns + 5)] == read(
        tables, "rev, kind, from_seq, to_seq, toUnixTimestamp64Nano(assumeNotNull(repaired_at))", "gaps"
    )


def test_books_are_one_row_per_change_and_session(tables: Tables, make: Any) -> None:
    """Equal changes of two sessions are two rows, a repeat is none."""
    insert_each(
        tables,
        make.record("books", make.book(), 0),
        make.record("books", make.book(conn="b"), 1),
        make.record("books", make.book(), 2),
        make.record("books", make.book(kind="gap", side=None, price_e6=None, delta_e4=None, trusted=False), 3),
    )
    assert [("a", "delta", Decimal("-1.0000"), True), ("a", "gap", None, False), ("b", "delta", Decimal(-1), True)] == (
        read(tables, "conn, kind, delta, trusted", "books", "1, 2")
    )


def test_a_refused_record_is_one_row_per_stage_and_reason(tables: Tables, make: Any) -> None:
    """A repeat of the sink's own refusal collapses."""
    insert_each(tables, make.record("fact.trade", b"?", 4), make.record("fact.trade", b"?", 4)._replace(timestamp_ms=5))
    assert [("sink", "fact.trade", 4, "?")] == read(tables, "stage, cause_topic, cause_offset, value_text", "dead")


def test_bronze_shows_every_offset_once_with_its_bytes(tables: Tables) -> None:
    """Bytes that are no text, repeated headers and a missing key are read back as they were."""
    value = bytes(range(256))
    record = Record("raw.kalshi.ws", 1, 5, 1_000, None, (("k", b"1"), ("k", b"\xff")), value)
    insert_each(tables, record, record._replace(timestamp_ms=1_000))
    for _ in range(2):  # a second physical row, as a zombie would leave it
        tables.insert_arrow(
            "raw_records", rows.build([record], topic_ids={}, code_version="v")["raw_records"], "another"
        )
    ((topic, offset, key, headers, digest),) = read(
        tables, "_topic, _offset, _key, arrayStringConcat(arrayMap(v -> hex(v), mapValues(_headers))), hex(value)",
        "raw_records",
    )  # fmt: skip
    assert ("raw.kalshi.ws", 5, None, "31FF", value.hex().upper()) == (topic, offset, key, headers, digest)


def test_what_a_table_replaces_its_rows_by_is_sent_or_computed_from_what_is(tables: Tables) -> None:
    """The sink reads a table back by its key and its version, which must follow from the columns of its rows."""
    schemas = read_schemas(tables)
    for table in [*layouts.LAYOUTS, "bars_1m_journal"]:
        sent = [*(name for name, _, _ in rows.layout_of(table)), "_offset"]  # some rows carry their place
        identity = schemas[table].identity(sent)
        assert identity.inputs.keys() <= set(sent)
        assert identity.inputs
        for name in identity.computed:
            assert schemas[table].columns[name].expression, f"{table}.{name}"
