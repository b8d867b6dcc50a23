"""What goes beyond a limit of the market's states: decided by what was said, not by which came first, and named."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make import M0, MARKET, at, gap, snapshot, trade

from stream_processors.ingest import WATERMARK_TOPICS
from stream_processors.operators import bars, books, watermark
from stream_processors.pipeline import Batch, States
from topics.catalog import BARS_1M, DEAD, FACT_BOOK, FACT_TRADE, GAPS, RAW_KALSHI_WS
from topics.codec import decode_bar, decode_dead, decode_gap_row, encode
from topics.events import Beat, Cause
from topics.units import NS_PER_MINUTE, NS_PER_S

pytestmark = pytest.mark.usefixtures("small")
MINUTES = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def small():
    """Limits that a few facts go beyond."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(books, "OPEN_MAX", 2)
        patched.setattr(books, "SESSIONS_MAX", 4)
        patched.setattr(bars, "SESSIONS_MAX", 3)
        patched.setattr(bars, "EMPTY_MINUTES_MAX", 5)
        patched.setattr(watermark, "CONNS_MAX", 3)
        yield


def opened(minutes):
    """One snapshot of each session."""
    return [
        snapshot(1, at(minute), {400_000: 10}, {500_000: 10}, conn=f"c{number}", cause=Cause(RAW_KALSHI_WS, 0, number))
        for number, minute in enumerate(minutes)
    ]


def folded(facts, topic=FACT_BOOK):
    """The states and the outputs of facts that come one by one."""
    states, outputs = States(lambda _: None), []
    for offset, fact in enumerate(facts):
        outputs += Batch(states, topic, 0, 1).fold([offset], [encode(fact)])
    return states, outputs


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_books_that_stay_open_are_those_that_changed_last_and_each_other_one_has_a_gap(data):
    """Whatever the order in which the sessions are read."""
    facts = data.draw(st.permutations(opened(data.draw(MINUTES))))
    states, outputs = folded(facts)
    ranked = sorted(facts, key=lambda fact: (fact.event_ns, fact.cause.offset))
    stay = {fact.conn for fact in ranked[-2:]}
    state = states.read(f"books/{MARKET}", books.State)
    assert stay == {book.conn for book in state.books.values() if not book.ended}
    told = {row.row_id: row for each in outputs if each.topic == GAPS and (row := decode_gap_row(each.value))}
    assert {fact.conn for fact in facts} - stay == {row.conn for row in told.values()}
    for row in told.values():
        (first,) = (fact for fact in facts if fact.conn == row.conn)
        assert ("over_limit", first.cause, first.event_ns // NS_PER_MINUTE) == (
            row.kind, row.cause, row.noticed_ns // NS_PER_MINUTE,
        )  # fmt: skip
    again, _ = folded(ranked)
    assert {key: book.ended for key, book in state.books.items()} == {
        key: book.ended for key, book in again.read(f"books/{MARKET}", books.State).books.items()
    }


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_sessions_of_quotes_beyond_the_limit_are_named_and_the_same_in_any_order(data):
    """Those silent longest go; each one that is gone is told in `dead` by the place where it began."""
    facts = data.draw(st.permutations(opened(data.draw(MINUTES))))
    states, outputs = folded(facts)
    ranked = sorted(facts, key=lambda fact: (fact.event_ns, fact.cause.offset))
    market = states.read(f"market/{MARKET}", bars.Market)
    assert {f"{fact.conn}/1" for fact in ranked[-3:]} == set(market.sessions)
    dead = [decode_dead(each.value) for each in outputs if each.topic == DEAD]
    assert {fact.cause for fact in ranked[:-3]} == {row.cause for row in dead}
    assert {"over_limit"} >= {row.reason for row in dead}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_ended_sessions_beyond_the_limit_are_named_and_the_first_to_start_go(data):
    """An open book is never forgotten, however many came after it."""
    long_lived, *ended = opened([0, *data.draw(MINUTES)])
    ends = {
        fact.conn: gap(2, None, fact.event_ns, kind="disconnect", conn=fact.conn, cause=fact.cause) for fact in ended
    }
    order = data.draw(st.permutations(ended))
    _, outputs = folded([long_lived, *(each for fact in order for each in (fact, ends[fact.conn]))])
    states, _ = folded([long_lived, *(each for fact in order for each in (fact, ends[fact.conn]))])
    state = states.read(f"books/{MARKET}", books.State)
    kept = sorted(ended, key=lambda fact: (fact.event_ns, fact.cause.offset))[-4:]
    assert {"c0", *(fact.conn for fact in kept)} == {book.conn for book in state.books.values()}
    assert not state.books["c0/1"].ended
    named = [decode_dead(each.value) for each in outputs if each.topic == DEAD]
    dead = {row.cause for row in named if "with quotes" not in row.detail}
    assert {fact.cause for fact in ended if fact not in kept} == dead


def beat(conn, clock_s, *, bye=False):
    """One word of one connection."""
    return Beat(
        source="kalshi.ws", conn=conn, raw_partition=0, clock_ns=clock_s * NS_PER_S, lease_ns=30 * NS_PER_S, bye=bye
    )


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_connections_beyond_the_limit_never_hold_one_that_is_waited_for(data):
    """Any order: whoever is still there stays, however early it was first heard; the watermark is that of all beats."""
    said = [
        beat(f"c{number}", data.draw(st.integers(0, 200)), bye=data.draw(st.booleans()))
        for number in range(data.draw(st.integers(1, 7)))
    ]
    whole = watermark.State()
    with_limit = watermark.State()
    lane = watermark.step(whole, "t", sorted(said, key=lambda each: each.clock_ns)).lanes["t/0"]
    limit = watermark.CONNS_MAX
    for each in data.draw(st.permutations(said)):
        watermark.step(with_limit, "t", [each])
    kept = with_limit.lanes["t/0"]
    newest_ns = max((each.clock_ns for each in said if not each.bye), default=None)
    waited = {each.conn for each in said if not each.bye and each.clock_ns + each.lease_ns >= newest_ns}
    assert waited <= set(kept)
    assert len(kept) <= max(limit, len(waited))
    assert watermark._lane_clock_ns(lane) == watermark._lane_clock_ns(kept)


def rows_of(outputs):
    """Minutes that have rows, and whether they are closed."""
    return {
        (row.minute_ns // NS_PER_MINUTE - M0): row.closed
        for each in outputs
        if each.topic == BARS_1M and (row := decode_bar(each.value))
    }


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_long_silence_has_the_same_rows_however_the_watermark_comes_and_the_trades_stand(data):
    """Before each minute with a trade at most so many empty ones; every minute with a trade is closed in the end."""
    traded = sorted(data.draw(st.sets(st.integers(0, 40), min_size=1, max_size=4)))
    facts = {number: trade(f"t{number}", at(number, 1)) for number in traded}
    end_s = (at(60) - at(0)) // NS_PER_S
    clocks = sorted({*data.draw(st.lists(st.integers(0, end_s), max_size=4)), end_s})
    states, outputs = States(lambda _: None), []

    def tell(*told):
        for topic in sorted(WATERMARK_TOPICS, key=lambda each: each != FACT_TRADE):
            of_topic = [each for each in told if topic == FACT_TRADE or isinstance(each, Beat)]
            outputs.extend(Batch(states, topic, 0, 1).fold(range(len(of_topic)), [encode(each) for each in of_topic]))

    waiting = data.draw(st.permutations(traded))
    for clock_s in clocks:
        count = len(waiting) if clock_s == end_s else data.draw(st.integers(0, len(waiting)))
        now, waiting = waiting[:count], waiting[count:]
        tell(*(facts[number] for number in now), beat("c1", at(0) // NS_PER_S + clock_s))
    tell(beat("c1", at(0) // NS_PER_S + end_s + 60))
    expected = set(traded)
    for before, after in itertools.pairwise(traded):
        expected |= set(range(max(before + 1, after - bars.EMPTY_MINUTES_MAX), after))
    assert dict.fromkeys(expected, True) == rows_of(outputs)
