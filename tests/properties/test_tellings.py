"""Tellings of one thing at one time: in any order equal rows, and no content goes or comes without a new revision."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make import M0, at, trade
from market_life import Life
from msgspec.structs import replace
from weather import climate, forecast, forecast_beat, ns, policy, said

from stream_processors.minutes import add_trades
from stream_processors.pipeline import Batch, States
from topics.catalog import ASOF_FORECAST, FACT_CLIMATE, FACT_FORECAST, FACT_MARKET, FACT_POLICY, LABELS
from topics.codec import decode_asof_forecast, decode_label, encode
from topics.events import Cause
from topics.kalshi_rest import Settlement

CONTENTS = st.sampled_from([0, 1, 2])
TIMES = st.sampled_from([0, 0, 0, 1])  # mostly one and the same
TOLD = st.lists(st.tuples(CONTENTS, TIMES), min_size=2, max_size=6)
RUN, VALID, DAY = "2026-04-10 00:00", "2026-04-12 00:00", "2024-11-27"
HOUR_NS = 3_600_000_000_000


def of_trade(told):
    """One trade, told with several contents."""
    return [
        trade("a", at(0, 10), 300_000 + content, known_ns=at(0, 11) + late, cause=Cause("raw.kalshi.rest", 0, place))
        for place, (content, late) in enumerate(told)
    ]


def of_run(told):
    """One value of one run, by an archive that is asked again and again: known as of the run, whatever it says."""
    return [
        replace(
            forecast(RUN, VALID, 70 + content, "2026-04-10 04:00", offset=place), known_by="assumed",
            known_ns=ns("2026-04-10 04:00") + late * HOUR_NS,
        )
        for place, (content, late) in enumerate(told)
    ]  # fmt: skip


def of_report(told):
    """One climate report, with several contents."""
    issued_ns = ns("2024-11-28 09:00")
    return [
        replace(
            climate(f"{DAY} 00:00", 80 + content, day=DAY, report="final", product="p", revision=f"r{content}"),
            issued_ns=issued_ns, event_ns=issued_ns, known_ns=issued_ns + late * HOUR_NS,
            cause=Cause("raw.iem.cli", 0, place),
        )
        for place, (content, late) in enumerate(told)
    ]  # fmt: skip


def of_outcome(told):
    """One market's outcome, with several values."""
    known_ns = ns("2024-11-28 15:00")
    return [
        Settlement(
            market_ticker=f"KXHIGHMIA-{DAY}-T1", event_ticker=f"KXHIGHMIA-{DAY}", result="yes", climate_day=DAY,
            status="finalized", station="KMIA", settled_ns=known_ns, expiration_value=f"{80 + content}.00",
            expiration_value_e6=(80 + content) * 1_000_000, event_ns=known_ns, received_ns=known_ns,
            known_ns=known_ns + late * HOUR_NS, known_by="observed", cause=Cause("raw.kalshi.rest", 0, place), conn="rest",
            settlement_source=(None, "nws", "twc")[place % 3],
        )
        for place, (content, late) in enumerate(told)
    ]  # fmt: skip


def minutes_of(facts):
    """The bar after each telling."""
    life = Life()
    life.span(0)
    for fact in facts:
        add_trades(life.minute(M0), [fact])
        yield life.bar(0)


def rows_of(facts, topic, rows, decode, first=()):
    """The row after each telling: the one of KXHIGHMIA that a batch says."""
    states = States(lambda _: None)
    for where, value in first:
        Batch(states, where, 0, 1).fold([0], [encode(value)])
    row = None
    for fact in facts:
        outputs = Batch(states, topic, 0, 1).fold([fact.cause.offset], [encode(fact)])
        told = [decode(each.value) for each in outputs if each.topic == rows]
        row = next(
            (each for each in told if "KXHIGHMIA" in (getattr(each, "series_ticker", None) or each.series_tickers)), row
        )
        yield row


POLICY = (FACT_POLICY, policy()), (FACT_FORECAST, forecast_beat(ns("2026-04-12 12:00")))
KINDS = {
    "bar": (of_trade, minutes_of),
    "as-of": (of_run, lambda facts: rows_of(facts, FACT_FORECAST, ASOF_FORECAST, decode_asof_forecast, POLICY)),
    "label": (of_report, lambda facts: rows_of(facts, FACT_CLIMATE, LABELS, decode_label)),
    "outcome": (of_outcome, lambda facts: rows_of(facts, FACT_MARKET, LABELS, decode_label)),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_content_goes_or_comes_without_a_new_revision(kind, data):
    """X, Y, then Y again at an earlier place: every order ends in one row, and one revision never says two things."""
    make, rows = KINDS[kind]
    facts = make(data.draw(TOLD))
    (*_, straight) = rows(facts)
    by_rev = {}
    for row in rows(data.draw(st.permutations([*facts, *facts[:2]]))):
        assert by_rev.setdefault(row.rev, said(row)) == said(row)
        assert row.rev == max(by_rev)
    assert straight == row


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_copy_further_ahead_changes_neither_content_nor_revision(kind, data):
    """All that was told, told once more at places before the first: only the places may be others."""
    make, rows = KINDS[kind]
    told = data.draw(TOLD)
    copies, facts = make([*told, *told])[: len(told)], make([*told, *told])[len(told) :]
    if kind == "outcome":
        copies = [
            replace(copy, settlement_source=fact.settlement_source) for copy, fact in zip(copies, facts, strict=True)
        ]
    (*_, before) = rows(facts)
    (*_, after) = rows([*facts, *data.draw(st.permutations(copies))])
    assert (before.rev, said(before)) == (after.rev, said(after))
