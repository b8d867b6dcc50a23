"""Explain: what a row is made of, and that the same facts make the same row again."""

import random
from pathlib import Path

import msgspec
import pytest
import tape
from left_out import checked
from stored import empty, store

from sinks.migrate import migrate
from sinks.tables import Tables
from tapefold.explain import Explainer, as_json, as_text
from topics.errors import Refused

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"


def copied(made, seed):
    """The tape with a tenth of its frames told once more, in the same words, at its end."""
    rng = random.Random(seed)
    for log in made.logs:
        frames = [record for record in log if dict(record.headers)["kind"] == b"frame"]
        again = rng.sample(frames, len(frames) // 10)
        log += [record._replace(offset=len(log) + number) for number, record in enumerate(again)]
    return made


@pytest.fixture(scope="module")
def made():
    """A tape with late trades, copies of both kinds, holes and a reconnect."""
    return copied(tape.tape(21, minutes=8, steps=700), 22)


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


def test_without_any_listed_input_the_row_is_another(tables, explainer):
    """Trades, the quote and what it rests on, frames, notices: each that is named has a part in its row."""
    rng = random.Random(2)
    books = [row_id for (row_id,) in tables.query_rows("SELECT row_id FROM tapefold.books ORDER BY 1").rows]
    bars, gaps = row_ids(tables, "bars_1m"), row_ids(tables, "gaps")
    for row_id in [*rng.sample(bars, 8), *rng.sample(books, 20), *rng.sample(gaps, 8)]:
        assert checked(explainer.of(row_id), row_id) == len(explainer.explain(row_id).inputs)


def test_a_market_folded_again_says_the_same(explainer, tables):
    """Nothing left out, nothing different."""
    (row_id,) = row_ids(tables, "bars_1m")[:1]
    tellings = explainer.of(row_id).args[0]
    assert tellings.rows == tellings.without([]).rows
    assert tellings.heard_ns("a2") == tellings.without([]).heard_ns("a2") > 0


def test_a_snapshot_that_changes_nothing_is_no_input(tables, explainer):
    """An earlier one and the changes since say the same levels; it is known, and said to be idle."""
    books = [row_id for (row_id,) in tables.query_rows("SELECT row_id FROM tapefold.books ORDER BY 1").rows]
    idle = [
        (row_id, each)
        for row_id in random.Random(5).sample(books, 120)
        for each in explainer.explain(row_id).not_chosen
        if each.role == "snapshot"
    ]
    assert idle
    for row_id, each in idle[:10]:
        assert each.why.endswith("the row is the same without it")
        assert not [told for told in explainer.explain(row_id).inputs if told.role == "snapshot"]


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
def test_a_thousand_random_rows_are_made_again_and_owe_something_to_each_input(store_url):
    """Of a longer tape: identical, and another without any one of the listed inputs."""
    longer = copied(tape.tape(31, minutes=240, steps=6_000, tickers=tape.markets(12)), 32)
    opened = Tables(store_url)
    migrate(opened, MIGRATIONS, lambda: 0)
    empty(opened)
    store(opened, longer)
    explainer = Explainer(opened, longer.partitions)
    rng = random.Random(3)
    books = [row_id for (row_id,) in opened.query_rows("SELECT row_id FROM tapefold.books ORDER BY 1").rows]
    bars, gaps = row_ids(opened, "bars_1m"), row_ids(opened, "gaps")
    chosen = [*rng.sample(bars, 600), *rng.sample(books, 360), *rng.sample(gaps, 40)]
    left_out = 0
    for row_id in sorted(chosen, key=lambda each: each[each.index("KX") :].partition(":")[0]):
        answer = explainer.explain(row_id)
        assert answer.identical, (row_id, answer.differs)
        left_out += checked(explainer.of(row_id), row_id)
    assert left_out >= 2_000
    empty(opened)
    opened.close()
