"""Watermarks: the least that every producer has surely told, from beats alone."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from make import at, beat

from stream_processors.operators.watermark import CONNS_MAX, Heard, State, advance, heard, step

TOPICS = ("fact.trade", "fact.book")
ONE = ("fact.trade",)


def told(*beats, topics=TOPICS):
    """The state after the same beats on every topic."""
    state = State()
    for topic in topics:
        step(state, topic, beats)
    return state


def test_without_a_beat_there_is_no_watermark():
    """Nobody has told how far it is."""
    assert advance(State(), TOPICS, 1) is None


def test_every_lane_must_have_spoken():
    """A lane is a topic and a raw partition; one that was never heard of holds everything."""
    state = State()
    for topic, raw_partition in (("fact.trade", 0), ("fact.trade", 1), ("fact.book", 0)):
        step(state, topic, [beat(at(5), raw_partition=raw_partition)])
        assert advance(state, TOPICS, 2) is None
    step(state, "fact.book", [beat(at(3), raw_partition=1)])
    assert at(3) == advance(state, TOPICS, 2)


def test_the_watermark_is_the_least_of_all_lanes():
    """All before it has been told on every topic, by every raw partition."""
    state = told(beat(at(2)))
    step(state, "fact.trade", [beat(at(9))])
    assert at(2) == advance(state, TOPICS, 1)


def test_the_watermark_never_falls():
    """A connection that starts later with an older clock speaks late; what is closed stays closed."""
    state = told(beat(at(5)))
    assert at(5) == advance(state, TOPICS, 1)
    for topic in TOPICS:
        step(state, topic, [beat(at(4, 59), conn="c2")])
    assert at(5) == advance(state, TOPICS, 1)
    assert at(5) == advance(state, (*TOPICS, "fact.other"), 1)


def test_the_clock_of_a_connection_never_goes_back():
    """A beat told again after a crash is an older one, and changes nothing."""
    assert at(5) == advance(told(beat(at(5)), beat(at(1))), TOPICS, 1)


def test_the_slowest_living_connection_is_waited_for():
    """Within its lease a silent connection may still tell of what came before."""
    assert at(1) == advance(told(beat(at(1)), beat(at(1, 30), conn="c2")), TOPICS, 1)


def test_a_connection_silent_for_its_lease_is_not_waited_for():
    """30 seconds of lease, and another connection is past them."""
    assert at(1, 31) == advance(told(beat(at(1)), beat(at(1, 31), conn="c2")), TOPICS, 1)


def test_a_connection_that_said_goodbye_is_not_waited_for():
    """It will tell no more; another one goes on alone."""
    assert at(1, 5) == advance(told(beat(at(1), bye=True), beat(at(1, 5), conn="c2")), TOPICS, 1)


def test_a_goodbye_is_not_taken_back():
    """Beats from before the goodbye, told again, do not bring the connection back."""
    state = told(beat(at(1), bye=True), beat(at(1)), beat(at(1, 5), conn="c2"))
    assert at(1, 5) == advance(state, TOPICS, 1)


def test_when_all_have_said_goodbye_the_last_word_counts():
    """At the end of a recording everything up to its end can close."""
    assert at(7) == advance(told(beat(at(3), bye=True), beat(at(7), conn="c2", bye=True)), TOPICS, 1)


def test_a_goodbye_from_ahead_does_not_outrun_the_living():
    """How far one that left had come says nothing about the one that stays, be it far behind."""
    assert at(5) == advance(told(beat(at(5)), beat(at(9), conn="c2", bye=True)), TOPICS, 1)


def test_connections_are_forgotten_past_a_limit():
    """Each reconnect brings a new name; the first ones ended long ago."""
    state = told(*[beat(at(0, n), conn=f"c{n}") for n in range(CONNS_MAX + 3)], topics=ONE)
    (lane,) = state.lanes.values()
    assert (CONNS_MAX, "c3", f"c{CONNS_MAX + 2}") == (len(lane), next(iter(lane)), list(lane)[-1])


def test_heard_is_how_far_a_connection_has_told_on_all_lanes():
    """The least of its lanes: its quotes hold up to there and no further."""
    state = told(beat(at(5)), beat(at(4), raw_partition=1), topics=ONE)
    assert Heard(at(4), gone=False) == heard(state, "fact.trade", 2, "c1")


def test_a_connection_that_never_beat_is_not_gone():
    """Its first beat may be still to come, on any lane."""
    assert Heard(-1, gone=False) == heard(told(beat(at(5))), "fact.book", 1, "c2")
    assert Heard(-1, gone=False) == heard(told(beat(at(5))), "fact.book", 2, "c1")
    assert Heard(-1, gone=False) == heard(State(), "fact.book", 1, "c1")


def test_a_connection_is_gone_when_it_said_so_on_every_lane():
    """A good-bye on one raw partition leaves the others to be waited for."""
    goodbye = beat(at(5), bye=True)
    assert Heard(at(5), gone=True) == heard(told(goodbye), "fact.book", 1, "c1")
    state = told(goodbye, beat(at(6), raw_partition=1))
    assert Heard(at(5), gone=False) == heard(state, "fact.book", 2, "c1")
    step(state, "fact.book", [beat(at(7), raw_partition=1, bye=True)])
    assert Heard(at(5), gone=True) == heard(state, "fact.book", 2, "c1")


def test_silence_alone_makes_no_connection_gone():
    """However far others are: it may end, and then the late word still counts."""
    state = told(beat(at(5)), beat(at(50), conn="c2"))
    assert Heard(at(5), gone=False) == heard(state, "fact.book", 1, "c1")


BEATS = st.lists(
    st.builds(
        lambda seconds, conn, number, bye: beat(at(0, seconds), conn=conn, raw_partition=number, bye=bye),
        st.integers(0, 90),
        st.sampled_from(["c1", "c2", "c3"]),
        st.integers(0, 1),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(BEATS, st.data())
def test_cuts_and_stored_states_do_not_change_what_is_known(beats, data):
    """Any batch cut, with the state written and read in between and beats told twice, ends in the same state."""
    whole, cut = step(State(), "fact.trade", beats), State()
    start = 0
    while start < len(beats):
        end = data.draw(st.integers(start + 1, len(beats)))
        again = data.draw(st.integers(0, start))
        step(cut, "fact.trade", beats[again:end])
        cut = msgspec.msgpack.decode(msgspec.msgpack.encode(cut), type=State)
        start = end
    marks = [advance(state, ONE, 2) for state in (whole, cut)]
    assert marks[0] == marks[1]
    for conn in ("c1", "c2", "c3"):
        assert heard(whole, "fact.trade", 2, conn) == heard(cut, "fact.trade", 2, conn)
