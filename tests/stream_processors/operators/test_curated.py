"""Of all tellings of a minute the one that holds; a function of their set."""

import itertools

import pytest
from msgspec.structs import replace
from tws_messages import CAUSE, answer, bar, headers

from stream_processors.operators.curated import State, step
from stream_processors.parsers.tws import parse
from topics.events import Cause

((BAR,),) = [parse(answer(bar(0)), headers(), CAUSE)]


def told(offset, known_ns, close_e6=100_500_000, **over):
    """A telling."""
    return replace(BAR, cause=Cause("raw.tws", 0, offset), known_ns=known_ns, close_e6=close_e6, **over)


def folded(*tellings):
    """The row after all of them."""
    state, row = State(), None
    for one in tellings:
        row = step(state, one) or row
    return row


def test_a_minute_told_once_is_that_telling():
    """Its values, its time, its cause."""
    row = folded(told(1, 7))
    assert (1, 1, 7, "observed", Cause("raw.tws", 0, 1)) == (
        row.rev,
        row.contents,
        row.known_ns,
        row.known_by,
        row.cause,
    )
    assert (BAR.open_e6, BAR.close_e6, BAR.volume_e4, BAR.count) == (
        row.open_e6,
        row.close_e6,
        row.volume_e4,
        row.count,
    )


def test_the_same_content_is_known_since_it_was_told_first():
    """A second fetch of the same day changes nothing but the count."""
    row = folded(told(1, 7), told(2, 9))
    assert (2, 1, 7) == (row.rev, row.contents, row.known_ns)


def test_a_correction_holds_from_its_own_time_on():
    """No decision before may see it."""
    row = folded(told(1, 7), told(2, 9, close_e6=5))
    assert (5, 9, 2) == (row.close_e6, row.known_ns, row.contents)


def test_a_correction_that_is_taken_back_is_known_anew():
    """Between the two the other content held."""
    row = folded(told(1, 7), told(2, 9, close_e6=5), told(3, 11), told(4, 13))
    assert (BAR.close_e6, 11, 2, 4) == (row.close_e6, row.known_ns, row.contents, row.rev)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_order_of_arrival_plays_no_part(order):
    """Nor does a telling that is delivered twice."""
    tellings = [told(1, 7), told(2, 9, close_e6=5), told(3, 11), told(4, 11, close_e6=6)]
    expected = folded(*tellings)
    assert expected == folded(*(tellings[index] for index in order), tellings[order[0]])


def test_growing_bars_and_other_sizes_are_not_curated():
    """They stay on `fact.bar`."""
    assert folded(told(1, 7, finished=False), told(2, 8, bar_size="5 mins")) is None
