"""The producer's clock and its beats."""

from producers.beat import LEASE_NS, TAPE_TAIL_NS, Beater, TapeClock, WallClock
from topics.events import BeatNotice
from topics.units import NS_PER_MINUTE, NS_PER_S


def test_the_wall_clock_never_goes_back() -> None:
    """A step of the machine's clock is ridden out."""
    walls = iter([10, 7, 12])
    clock = WallClock(lambda: next(walls))

    assert [10, 10, 12] == [clock.now_ns(), clock.now_ns(), clock.now_ns()]


def test_the_wall_clock_stamps_with_the_wall_and_remembers_the_latest_data() -> None:
    """Exchange times move `data_ns` alone, and only forward."""
    clock = WallClock(lambda: 100)

    assert [100, 100, 100] == [clock.stamp(5), clock.stamp(3), clock.stamp(None)]
    assert (5, 100, 100) == (clock.data_ns, clock.end_ns(), clock.begin())


def test_the_tape_clock_is_the_latest_time_that_the_recording_has_shown() -> None:
    """The frame itself counts, an earlier time does not, a frame without time takes the clock as it is."""
    clock = TapeClock()

    assert [None, 5, 5, 9, 9] == [clock.stamp(ns) for ns in (None, 5, 3, 9, None)]
    assert (9, 9) == (clock.data_ns, clock.now_ns())


def test_a_tape_without_any_time_begins_at_zero() -> None:
    """Stamps are the same in every run, and the first time that comes after all is taken."""
    clock = TapeClock()

    assert (0, 0, None, 0) == (clock.begin(), clock.stamp(None), clock.data_ns, clock.end_ns())
    assert 7 == clock.stamp(7)


def test_a_tape_ends_past_its_last_minute() -> None:
    """So that the bar of the last data closes; data on the minute belong to the minute that begins."""
    clock = TapeClock()
    clock.stamp(2 * NS_PER_MINUTE - 1)
    before = clock.end_ns()
    clock.stamp(2 * NS_PER_MINUTE)

    assert (2 * NS_PER_MINUTE + TAPE_TAIL_NS, 3 * NS_PER_MINUTE + TAPE_TAIL_NS) == (before, clock.end_ns())


def test_a_beat_says_the_clock_and_when_the_next_is_due() -> None:
    """An interval after this one, however late it is itself."""
    beater = Beater("kalshi.ws", "c1")
    first = beater.due_ns
    notice = beater.beat(5 * NS_PER_S, 4)

    assert (1, 6 * NS_PER_S) == (first, beater.due_ns)
    assert BeatNotice(source="kalshi.ws", conn="c1", clock_ns=5 * NS_PER_S, lease_ns=LEASE_NS, data_ns=4) == notice


def test_the_last_beat_says_good_bye() -> None:
    """Nobody waits for the connection any more."""
    notice = Beater("kalshi.ws", "c1", lease_ns=7).bye(8, None)

    assert BeatNotice(source="kalshi.ws", conn="c1", clock_ns=8, lease_ns=7, bye=True) == notice
