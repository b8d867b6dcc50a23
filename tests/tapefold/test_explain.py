"""Explain: what a row is made of, and that the same facts make the same row again."""

import random
from pathlib import Path

import msgspec
import pytest
import tape
from stored import empty, store

from sinks.migrate import migrate
from sinks.tables import Tables
from stream_processors.explain import Tellings, explain
from tapefold.explain import Explainer, as_json, as_text
from topics.catalog import RAW_KALSHI_WS
from topics.errors import Refused

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"


@pytest.fixture(scope="module")
def made():
    """A tape with late trades, copies, holes and a reconnect."""
    return tape.tape(21, minutes=8, steps=700)


@pytest.fixture(scope="module")
def tables(store_url, made):
    """A store that holds it."""
    opened = Tables(store_url)
    migrate(opened, MIGRATIONS, lambda: 0)
    empty(opened)
    store(opened, made)
    yield opened
    empty(opened)
    opened.close()


@pytest.fixture(scope="module")
def explainer(tables, made):
    """One that keeps the markets it has read."""
    return Explainer(tables, made.partitions)


def row_ids(tables, table):
    """All rows of a table."""
    return [row_id for (row_id,) in tables.query_rows(f"SELECT row_id FROM tapefold_api.{table} ORDER BY 1").rows]


def test_every_row_is_made_again_from_its_inputs(tables, explainer):
    """Bars, gaps and a hundred book rows: identical in every column."""
    books = [row_id for (row_id,) in tables.query_rows("SELECT row_id FROM tapefold.books ORDER BY 1").rows]
    chosen = [*row_ids(tables, "bars_1m"), *row_ids(tables, "gaps"), *random.Random(1).sample(books, 100)]
    for row_id in chosen:
        answer = explainer.explain(row_id)
        assert answer.identical, (row_id, answer.differs)
        assert answer.inputs or not answer.stored.get("trades", 1)


def logs(made):
    """A tape as explain takes it."""
    return {(RAW_KALSHI_WS, number): log for number, log in enumerate(made.logs)}


def test_without_any_listed_trade_the_bar_is_another(tables, explainer, made):
    """Each trade that is named as an input has a part in the row."""
    rng = random.Random(2)
    bars = [row_id for row_id in row_ids(tables, "bars_1m") if explainer.explain(row_id).stored["trades"]]
    for row_id in rng.sample(bars, 8):
        answer = explainer.explain(row_id)
        for trade in [each for each in answer.inputs if each.role == "trade"][:3]:
            places = {
                (each.partition, each.offset)
                for each in [*answer.inputs, *answer.not_chosen]
                if each.name == trade.name
            }
            ticker = answer.stored["market_ticker"]
            without = explain(Tellings(ticker, made.partitions, logs(made.without(*places))), row_id)
            whole = explain(Tellings(ticker, made.partitions, logs(made)), row_id)
            assert whole.row != without.row


def test_an_input_says_where_it_stands_and_when_it_was_known(tables, explainer, made):
    """The record at its place is the one that told it, and no input of a row was known after it."""
    for row_id in row_ids(tables, "bars_1m"):
        answer = explainer.explain(row_id)
        for each in answer.inputs:
            record = made.logs[each.partition][each.offset]
            assert each.received_ns == int(dict(record.headers)["received_ns"])
            assert each.lead_ns == answer.stored["known_at"] - each.known_ns
            assert each.lead_ns >= 0


def test_what_was_told_again_is_named_with_its_reason(tables, explainer):
    """The second recorder's copy is known, and not chosen because it was later."""
    answers = [explainer.explain(row_id) for row_id in row_ids(tables, "bars_1m")]
    reasons = [each.why for answer in answers for each in answer.not_chosen]
    assert any("the same trade told again" in why for why in reasons)
    assert any("another trusted session had started earlier" in why for why in reasons)
    assert any("after the minute's end" in each.why for answer in answers for each in answer.too_late)


def test_the_quote_of_a_bar_is_that_of_its_chosen_session(tables, explainer):
    """The change that is named shows the levels that the bar shows; a bar without one has no quote."""
    for row_id in row_ids(tables, "bars_1m"):
        answer = explainer.explain(row_id)
        quotes = [each for each in answer.inputs if each.role == "quote"]
        if not quotes:
            assert (None, None) == (answer.stored["yes_bid"], answer.stored["yes_ask"])
            continue
        ((bid, ask),) = tables.query_rows(
            "SELECT toInt64(yes_bid * 1000000), toInt64(yes_ask * 1000000) FROM tapefold_api.books"
            f" WHERE cause_partition = {quotes[0].partition} AND cause_offset = {quotes[0].offset}"
        ).rows
        assert (bid, ask) == (answer.stored["yes_bid"], answer.stored["yes_ask"])


def test_a_row_that_was_changed_is_not_identical(tables, made):
    """The column that differs is named with both values."""
    row_id = row_ids(tables, "gaps")[0]
    tables.command(
        "INSERT INTO tapefold.gaps SELECT * REPLACE (noticed_at + INTERVAL 1 SECOND AS noticed_at, rev + 10 AS rev)"
        f" FROM tapefold.gaps FINAL WHERE row_id = '{row_id}'"
    )
    answer = Explainer(tables, made.partitions).explain(row_id)
    assert {"noticed_at", "rev"} == set(answer.differs)
    text = as_text(answer, str)
    assert "made again: not identical\n  " in text
    decoded = msgspec.json.decode(as_json(answer))
    assert (row_id, False) == (decoded["row_id"], decoded["identical"])


def test_a_row_that_is_not_there_is_refused(explainer):
    """The message says what to look at."""
    for row_id in ("bar:KXNONE:1", "nonsense"):
        with pytest.raises(Refused, match="row_id"):
            explainer.explain(row_id)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_thousand_random_rows_are_made_again_and_owe_something_to_each_trade(store_url):
    """Of a longer tape: identical, and another without any one of the listed trades."""
    longer = tape.tape(31, minutes=240, steps=6_000, tickers=tape.markets(6))
    opened = Tables(store_url)
    migrate(opened, MIGRATIONS, lambda: 0)
    empty(opened)
    store(opened, longer)
    explainer = Explainer(opened, longer.partitions)
    rng = random.Random(3)
    books = [row_id for (row_id,) in opened.query_rows("SELECT row_id FROM tapefold.books ORDER BY 1").rows]
    bars = row_ids(opened, "bars_1m")
    checked = 0
    for row_id in sorted(rng.sample(bars, 600) + rng.sample(books, 400), key=lambda each: each.rpartition("KX")[2]):
        answer = explainer.explain(row_id)
        assert answer.identical, (row_id, answer.differs)
        trades = {each.name for each in answer.inputs if each.role == "trade"}
        if not trades or checked >= 200:
            continue
        ticker = answer.stored["market_ticker"]
        row = explain(Tellings(ticker, longer.partitions, logs(longer)), row_id).row
        for gone in sorted(trades):
            checked += 1
            told = [each for each in [*answer.inputs, *answer.not_chosen] if each.name == gone]
            without = longer.without(*{(each.partition, each.offset) for each in told})
            assert row != explain(Tellings(ticker, longer.partitions, logs(without)), row_id).row
    assert checked >= 200
    empty(opened)
    opened.close()
