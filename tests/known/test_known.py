"""Everything as known at t: the views say what a fold of the tape cut at t says."""

from pathlib import Path

import pytest
import tape
from stored import empty, store

from sinks.migrate import migrate
from sinks.tables import Tables
from topics.units import NS_PER_MINUTE, NS_PER_S

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"
E6, E4 = 10**6, 10**4


@pytest.fixture(scope="module")
def tables(store_url):
    """A migrated store."""
    opened = Tables(store_url)
    migrate(opened, MIGRATIONS, lambda: 0)
    empty(opened)
    yield opened
    empty(opened)
    opened.close()


def units(value, unit):
    """A decimal as an integer of small units."""
    return None if value is None else int(value * unit)


def stamp(known_ns):
    """A time as the parameter of a view wants it."""
    return f"fromUnixTimestamp64Nano({known_ns}, 'UTC')"


def bars_known(tables, known_ns):
    """Rows of the view by identity."""
    answer = tables.query_rows(
        "SELECT row_id, open, high, low, close, volume, trades, yes_bid, yes_ask, closed,"
        f" toUnixTimestamp64Nano(known_at), known_by FROM tapefold_api.bars_1m_known(t = {stamp(known_ns)})"
    )
    return {
        row[0]: (*(units(price, E6) for price in row[1:5]), units(row[5], E4), row[6],
                 *(units(price, E6) for price in row[7:9]), *row[9:])
        for row in answer.rows
    }  # fmt: skip


def bars_folded(made, known_ns):
    """The same of a fold of the tape that ends there: the bars that were known by then."""
    return {
        row.row_id: (
            row.open_e6, row.high_e6, row.low_e6, row.close_e6, row.volume_e4, row.trades, row.yes_bid_e6,
            row.yes_ask_e6, row.closed, row.known_ns, row.known_by,
        )
        for row in tape.fold(made.known_at(known_ns))["bars.1m"].values()
        if row.known_ns <= known_ns
    }  # fmt: skip


def moments(made, count=12):
    """Times spread over the tape, some on minutes, and one behind all."""
    stamps = sorted(int(dict(record.headers)["received_ns"]) for record in made.records())
    picked = [stamps[len(stamps) * number // count] for number in range(count)]
    minutes = {picked[3] // NS_PER_MINUTE * NS_PER_MINUTE, picked[-1] // NS_PER_MINUTE * NS_PER_MINUTE + 1}
    return [*picked, *minutes, stamps[-1] + NS_PER_S]


@pytest.mark.parametrize("seed", range(4))
def test_bars_known_at_a_time_are_those_of_the_tape_cut_there(tables, seed):
    """Late trades, holes, reconnects and quotes among them: every column but the revision, at any time."""
    empty(tables)
    made = tape.tape(seed, minutes=6, steps=400)
    store(tables, made)
    seen = 0
    for known_ns in moments(made):
        expected = bars_folded(made, known_ns)
        seen += len(expected)
        assert expected == bars_known(tables, known_ns)
    assert seen > 50


def test_books_gaps_and_trades_known_at_a_time_are_those_of_the_tape_cut_there(tables):
    """Rows that came later are not there, and what was mended later is still open."""
    empty(tables)
    made = tape.tape(11, minutes=6, steps=400)
    store(tables, made)
    for known_ns in moments(made, 6):
        folded = tape.fold(made.known_at(known_ns))
        books = tables.query_rows(
            "SELECT conn, sid, seq, market_ticker, trusted, toInt64(yes_bid * 1000000)"
            f" FROM tapefold_api.books_known(t = {stamp(known_ns)})"
        ).rows
        expected = {
            (row.conn, row.sid, row.seq, row.market_ticker, row.trusted, row.yes_bid_e6)
            for row in folded["books"].values()
        }
        assert expected == {tuple(row) for row in books}
        gaps = tables.query_rows(
            "SELECT row_id, rev, toUnixTimestamp64Nano(repaired_at)"
            f" FROM tapefold_api.gaps_known(t = {stamp(known_ns)})"
        ).rows
        assert {(row.row_id, row.rev, row.repaired_ns) for row in folded["gaps"].values()} == {
            tuple(row) for row in gaps
        }
        ((trades,),) = tables.query_rows(f"SELECT count() FROM tapefold_api.trades_known(t = {stamp(known_ns)})").rows
        assert sum(row.trades for row in folded["bars.1m"].values()) == trades
    assert {1, 2} == {row.rev for row in folded["gaps"].values()}


def test_what_is_known_later_changes_no_earlier_answer(tables):
    """The answer at t is the same before and after the rest of the tape is stored."""
    made = tape.tape(12, minutes=6, steps=400)
    known_ns = moments(made)[6]
    empty(tables)
    store(tables, made.known_at(known_ns))
    before = bars_known(tables, known_ns)
    empty(tables)
    store(tables, made)
    assert before == bars_known(tables, known_ns)
    assert len(before) < len(bars_known(tables, moments(made)[-1]))


def test_a_market_that_nobody_recorded_has_no_bars(tables):
    """An empty store answers with no rows, not with an error."""
    empty(tables)
    assert {} == bars_known(tables, tape.START_NS)
