"""The token bucket."""

import pytest

from producers.webhook.limits import TokenBucket


def test_a_burst_passes_and_then_the_rate():
    """Four at once, then two a second; the wait is told."""
    bucket = TokenBucket(2.0, 4.0)
    assert [0.0] * 4 == [bucket.take(10.0) for _ in range(4)]
    assert 0.5 == pytest.approx(bucket.take(10.0))
    assert 0.25 == pytest.approx(bucket.take(10.25))
    assert 0.0 == bucket.take(10.5)


def test_a_pause_fills_no_more_than_the_burst():
    """However long it was."""
    bucket = TokenBucket(2.0, 4.0)
    bucket.take(0.0)
    assert [0.0] * 4 == [bucket.take(1e6) for _ in range(4)]
    assert 0.0 < bucket.take(1e6)


def test_a_clock_that_goes_back_gives_nothing():
    """And takes nothing."""
    bucket = TokenBucket(1.0, 1.0)
    assert 0.0 == bucket.take(10.0)
    assert 1.0 == bucket.take(5.0)
