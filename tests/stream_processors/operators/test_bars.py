"""Bars, function by function: which copy of a trade counts, how long a market's life is."""

import itertools

import msgspec
import pytest
from make import M0, at, trade
from market_life import Life, cause

from stream_processors.minutes import Minute, add_trades, held
from stream_processors.operators.bars import EMPTY_MINUTES_MAX, Market, announce_close, needs_watermark
from topics.events import Cause

# --- which copy of a trade counts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backwards", [False, True], ids=["first", "last"])
def test_of_two_tellings_the_one_known_first_wins_in_any_order(backwards):
    """Whatever they say and wherever they stand; the loser is named, whichever came first."""
    for price in (200_000, 400_000):
        winner = trade("a", at(0, 10), 300_000, 10_000, known_ns=at(0, 11), cause=cause(5))
        loser = trade("a", at(0, 10), price, 70_000, known_ns=at(0, 12), cause=cause(1))
        state = Minute()
        conflicts = add_trades(state, (loser, winner) if backwards else (winner, loser))
        assert [loser.cause] == [conflict.loser for conflict in conflicts]
        assert (300_000, 300_000, 10_000) == (state.high_e6, state.low_e6, state.volume_e4)


@pytest.mark.parametrize("backwards", [False, True], ids=["first", "last"])
def test_of_two_contents_known_at_one_time_the_same_one_wins_wherever_they_stand(backwards):
    """What they say decides, so that a copy further ahead on the log makes no other content hold; the loser is named."""
    held = set()
    for first, second in ((1, 2), (2, 1)):
        one, other = (
            trade("a", at(0, 10), price, known_ns=at(0, 11), cause=cause(place))
            for price, place in ((300_000, first), (400_000, second))
        )
        state = Minute()
        (conflict,) = add_trades(state, (other, one) if backwards else (one, other))
        held.add(state.high_e6)
        assert conflict.loser == (one.cause if state.high_e6 == other.yes_price_e6 else other.cause)
        assert 2 == state.pairs
    assert 1 == len(held)


@pytest.mark.parametrize(
    "other", [{"topic": "raw.a"}, {"partition": 0}, {"offset": 3}], ids=["topic", "partition", "offset"]
)
def test_of_copies_known_at_one_time_the_one_that_stands_first_is_kept(other):
    """By topic, partition and offset, and that is no new revision."""
    place = {"topic": "raw.b", "partition": 1, "offset": 5}
    one, before = (
        trade("a", at(0, 10), known_ns=at(0, 11), cause=Cause(**each)) for each in (place, {**place, **other})
    )
    for order in ((one, before), (before, one)):
        state = Minute()
        assert [] == add_trades(state, order)
        assert before.cause == held(state)["a"][5]
        assert 1 == state.pairs


def test_what_holds_of_each_trade_is_kept_packed_and_unpacked():
    """Packed until one is told again, in this call or an earlier one; those that come after stand by their own ids."""
    prices = {name: 100_000 * number for number, name in enumerate("abcdefgh", 1)}
    told = {name: trade(name, at(0, 10), price, cause=cause(price)) for name, price in prices.items()}
    again = trade("b", at(0, 10), prices["b"], known_ns=at(0, 59), cause=cause(1))
    state = Minute()
    for names, repeated, packs in (("ab", (), 1), ("cd", (), 2), ("ef", (again,), 0), ("gh", (), 0)):
        assert [] == add_trades(state, [*(told[name] for name in names), *repeated])
        assert packs == len(state.packed)
    assert prices == {name: seen[1] for name, seen in held(state).items()}
    assert {name: fact.cause for name, fact in told.items()} == {name: seen[5] for name, seen in held(state).items()}
    assert 9 == state.pairs


def test_a_conflict_says_what_was_expected_and_what_was_there():
    """The words name the trade and both contents, the winner's first."""
    state = Minute()
    add_trades(state, [trade("a", at(0, 10), 300_000, cause=cause(1))])
    (conflict,) = add_trades(state, [trade("a", at(0, 10), 400_000, cause=cause(2))])
    ms = at(0, 10) // 10**6
    assert (
        f"trade a: expected (ms, yes_e6, no_e6, size_e4) {(ms, 300_000, 700_000, 10_000)}, "
        f"was {(ms, 400_000, 600_000, 10_000)}"
    ) == conflict.detail


def test_copies_below_the_millisecond_agree():
    """One channel tells milliseconds, another microseconds: the same trade, and no conflict."""
    state = Minute()
    add_trades(state, [trade("a", at(0, 10), cause=cause(1))])
    assert [] == add_trades(state, [trade("a", at(0, 10) + 999_999, cause=cause(2))])
    assert (1, 10_000) == (len(state.trades), state.volume_e4)


def test_the_same_record_again_changes_nothing():
    """A redelivery is not a second telling."""
    state, told = Minute(), trade("a", at(0, 10))
    add_trades(state, [told])
    before = msgspec.msgpack.encode(state)
    assert [] == add_trades(state, [told])
    assert before == msgspec.msgpack.encode(state)


def test_tellings_at_different_times_raise_the_revision_and_repeats_do_not():
    """Each distinct time at which a trade was known counts once, in any order, however often it is told."""
    tellings = [trade("a", at(0, 10), known_ns=at(0, 10 + n), cause=cause(n)) for n in range(3)]
    for order in itertools.permutations(tellings):
        state = Minute()
        for told in (*order, *order):
            add_trades(state, [told])
        assert (3, at(0, 10)) == (state.pairs, state.known_ns)


def test_a_winner_that_comes_late_takes_back_what_the_loser_had_set():
    """High, low, open, close and volume are computed anew from what holds."""
    state = Minute()
    for told in (
        trade("a", at(0, 10), 500_000, cause=cause(1)),
        trade("b", at(0, 50), 900_000, 90_000, known_ns=at(0, 52), cause=cause(2)),
        trade("b", at(0, 5), 450_000, 20_000, known_ns=at(0, 51), cause=cause(3)),
    ):
        add_trades(state, [told])
    assert (500_000, 450_000, 30_000) == (state.high_e6, state.low_e6, state.volume_e4)
    assert ("b", "a", at(0, 51)) == (state.opening[1], state.closing[1], state.known_ns)


def test_every_order_of_all_tellings_gives_the_same_bar():
    """Copies, conflicts and plain trades in all their orders."""
    facts = [
        trade("a", at(0, 10), 300_000, known_ns=at(0, 11), cause=cause(1)),
        trade("a", at(0, 10), 400_000, known_ns=at(0, 12), cause=cause(2)),
        trade("a", at(0, 10), 300_000, known_ns=at(0, 13), cause=cause(3)),
        trade("b", at(0, 10), 200_000, cause=cause(4)),
        trade("c", at(0, 5), 700_000, cause=cause(5)),
    ]
    bars = set()
    for order in itertools.permutations(facts):
        life = Life()
        life.span(0)
        for told in order:
            add_trades(life.minute(M0), [told])
        bars.add(msgspec.json.encode(life.bar(0)))
    assert 1 == len(bars)


def test_open_and_close_of_the_same_millisecond_go_by_id():
    """Ids break the tie, not arrival."""
    life = Life()
    life.span(0)
    for name, price in (("b", 200_000), ("a", 100_000), ("c", 300_000)):
        add_trades(life.minute(M0), [trade(name, at(0, 10), price)])
    assert (100_000, 300_000) == (life.bar(0).open_e6, life.bar(0).close_e6)


# --- a market's life --------------------------------------------------------------------------------------------------


def test_no_trades_change_nothing():
    """A minute that nothing was told of has no open and no close."""
    state = Minute()
    assert [] == add_trades(state, [])
    assert Minute() == state


def test_the_first_fact_begins_the_life():
    """Nothing before it needs a row."""
    life = Life()
    assert [] == life.span(5)
    assert (M0 + 5, M0 + 5, M0 + 5) == (life.market.first, life.market.last, life.market.closed_to)


def test_an_earlier_fact_before_anything_closed_begins_the_life_earlier():
    """The minutes between are open like the others."""
    life = Life()
    life.span(5)
    assert [] == life.span(2)
    assert [2, 3, 4, 5] == life.close(at(9))


def test_an_earlier_fact_after_minutes_closed_closes_those_between():
    """The watermark has passed them long ago: they get their rows at once."""
    life = Life()
    life.span(5)
    assert [5] == life.close(at(6))
    assert [2, 3, 4] == life.span(2)
    assert [] == life.close(at(7))


def test_a_fact_within_the_life_changes_nothing():
    """Neither the first minute nor the last."""
    life = Life()
    life.span(2)
    life.span(8)
    assert [] == life.span(5)
    assert (M0 + 2, M0 + 8) == (life.market.first, life.market.last)


def test_a_fact_from_long_ago_asks_for_a_bounded_number_of_rows():
    """A nonsense time stamp must not fill the table."""
    life = Life()
    life.span(EMPTY_MINUTES_MAX + 500)
    life.close(at(EMPTY_MINUTES_MAX + 501))
    minutes = life.span(0)
    assert (EMPTY_MINUTES_MAX, 500, EMPTY_MINUTES_MAX + 499) == (len(minutes), minutes[0], minutes[-1])


def test_empty_minutes_are_bounded_when_the_watermark_jumps():
    """A far close and a long absence: the last 31 days before it get rows, what lies further back does not."""
    for stops in ((2, 3), (3,), (1, 2, 3)):
        life = Life()
        life.span(0)
        life.market.open[M0] = True
        announce_close(life.market, at(3 * EMPTY_MINUTES_MAX), 1)
        changed = [minute for stop in stops for minute in life.close(at(stop * EMPTY_MINUTES_MAX))]
        assert [0, *range(2 * EMPTY_MINUTES_MAX, 3 * EMPTY_MINUTES_MAX)] == changed


def test_of_several_announced_closes_the_one_known_last_holds():
    """In any order of arrival; a close within a minute belongs to that minute."""
    announced = [(at(9), 1), (at(5, 30), 3), (at(7), 2)]
    for order in itertools.permutations(announced):
        market = Market()
        for close_ns, known_ns in order:
            announce_close(market, close_ns, known_ns)
        assert (M0 + 6, 3) == (market.close_minute, market.close_known_ns)


def test_of_closes_known_at_once_the_later_holds():
    """So that their order on the log plays no part."""
    for order in itertools.permutations([at(5), at(9), at(7)]):
        market = Market()
        for close_ns in order:
            announce_close(market, close_ns, 1)
        assert M0 + 9 == market.close_minute


def test_nothing_closes_before_the_first_fact():
    """An announcement alone makes no bar."""
    life = Life()
    announce_close(life.market, at(5), 1)
    assert [] == life.close(at(9))
    assert not needs_watermark(life.market)


def test_a_minute_closes_once():
    """The watermark may pass it again and again."""
    life = Life()
    life.span(0)
    assert [[], [0], []] == [life.close(at(0, 59.999)), life.close(at(1)), life.close(at(2))]


# --- who needs the watermark ------------------------------------------------------------------------------------------


def test_a_market_with_an_open_minute_needs_the_watermark():
    """From its first fact until the last minute is closed, and on to its announced close."""
    life = Life()
    assert not needs_watermark(life.market)
    life.span(0)
    assert needs_watermark(life.market)
    life.close(at(1))
    assert not needs_watermark(life.market)
    announce_close(life.market, at(3), 1)
    assert needs_watermark(life.market)
    life.close(at(3))
    assert not needs_watermark(life.market)


def test_a_market_with_a_late_quote_needs_the_watermark():
    """Until the beat of its connection has come, or is known never to come."""
    for ending in ("heard", "gone"):
        life = Life()
        life.span(0)
        life.close(at(1))
        life.quote(0)
        assert needs_watermark(life.market)
        if ending == "gone":
            life.gone.add("c1")
        life.close(at(1), c1=at(1) if ending == "heard" else -1)
        assert not needs_watermark(life.market)
