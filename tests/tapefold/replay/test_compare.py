"""A generation against the live tables: equal ones are equal, and each kind of difference is found and named."""

from pathlib import Path

import pytest
import tape
from stored import empty, insert, store

from sinks import generations, rows
from sinks.migrate import migrate
from sinks.tables import Tables
from stream_processors.replay import Part
from tapefold.replay import compare
from topics.catalog import RAW_KALSHI_WS

MIGRATIONS = Path(__file__).parents[3] / "clickhouse" / "migrations"
DATABASE = "tapefold_gen_test"


@pytest.fixture(scope="module")
def live(store_url):
    """A store that holds one tape, and a generation that was folded from the same in other batches and two parts."""
    opened = Tables(store_url)
    migrate(opened, MIGRATIONS, lambda: 0)
    empty(opened)
    made = tape.tape(3)
    store(opened, made)
    generations.create(opened, "test")
    parts = [Part([number], made.partitions) for number in range(made.partitions)]
    outputs = []
    for start in range(0, max(map(len, made.logs)), 50):
        for number, log in reversed(list(enumerate(made.logs))):
            for part in parts:
                outputs += part.raw(RAW_KALSHI_WS, number, log[start : start + 50])
    sinkable = [record for record in outputs if record.topic != "fact.book"]
    for table, arrow in rows.build(sinkable, topic_ids={}, code_version="x").items():
        if table in {each.name for each in compare.tables_of(opened)}:
            opened.insert_arrow(table, arrow, f"{table}:gen", database=DATABASE)
    yield opened
    generations.drop(opened, "test")
    empty(opened)
    opened.close()


def found(live):
    """All differences, by table."""
    tables = compare.tables_of(live)
    return {
        table.name: [compare.difference(live, DATABASE, tables, table, key) for key in keys]
        for table in tables
        if (keys := compare.differing(live, DATABASE, table))
    }


def test_two_parts_and_small_batches_say_what_one_part_said(live):
    """Every table is the same, by count and by hash, and none is empty that should not be."""
    assert {} == found(live)
    for table in compare.tables_of(live):
        assert compare.count(live, "tapefold", table) == compare.count(live, DATABASE, table)
        if table.name in {"bars_1m", "books", "gaps", "trades"}:
            assert compare.count(live, DATABASE, table)[0] > 0


def test_journals_and_bronze_take_no_part(live):
    """Which revisions were published on the way is no promise."""
    assert set() == {"bars_1m_journal", "raw_records", "beats", "beat_log"} & {t.name for t in compare.tables_of(live)}


def test_each_kind_of_difference_is_named_with_its_first_input(live):
    """A changed price, a row that is not there, and the first record in which the two folds part."""
    copied = "market_ticker, minute, high, low, close, volume, trades, yes_bid, yes_ask, closed, known_at, known_by, rev, row_id"
    ((ticker, minute, row_id),) = live.query_rows(
        "SELECT market_ticker, toString(minute), row_id FROM tapefold_api.bars_1m WHERE trades > 1 ORDER BY minute LIMIT 1"
    ).rows
    live.command(
        f"INSERT INTO {DATABASE}.bars_1m (open, {copied}) SELECT open + 0.01, {copied} FROM tapefold_api.bars_1m"
        f" WHERE row_id = '{row_id}'"
    )
    live.command(
        f"DELETE FROM {DATABASE}.trades WHERE market_ticker = '{ticker}' AND event_at >= '{minute}'"
        f" AND event_at < toDateTime64('{minute}', 9, 'UTC') + INTERVAL 1 MINUTE"
    )
    differences = found(live)
    (bar,) = differences["bars_1m"]
    assert f"bars_1m {row_id}" in str(bar)
    assert "open: live '" in str(bar)
    ((topic, partition, offset),) = live.query_rows(
        "SELECT cause_topic, cause_partition, cause_offset FROM tapefold_api.trades"
        f" WHERE market_ticker = '{ticker}' AND toStartOfMinute(event_at) = toDateTime('{minute[:19]}', 'UTC')"
        " ORDER BY 1, 2, 3 LIMIT 1"
    ).rows
    assert f"{topic}-{partition} offset {offset} (trades)" == bar.first_input
    assert "only in the live table" in str(differences["trades"][0])


def test_a_window_leaves_rows_outside_of_it_alone(live):
    """Rows whose event time lies outside are not compared."""
    (bars,) = (table for table in compare.tables_of(live) if table.name == "bars_1m")
    assert {} == compare.differing(live, DATABASE, bars, (0, tape.START_NS))


def test_the_rows_of_another_tape_all_differ(live):
    """What only the replay has is said so too."""
    other = tape.tape(4, steps=30, tickers=["KXOTHER-1"])
    part = Part(range(2), 2)
    made = [record for number, log in enumerate(other.logs) for record in part.raw(RAW_KALSHI_WS, number, log)]
    insert(live, made)
    assert any("only in the live table" in str(each) for each in found(live)["books"])
