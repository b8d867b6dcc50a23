import pytest

from topics.failpoint import failpoints, nothing, with_failpoints
from topics.log import MemoryLog


class DeadError(Exception):
    """What dying is here."""


def die() -> None:
    """End."""
    raise DeadError


def test_a_place_is_passed_until_its_number_comes() -> None:
    """The N-th passing dies, other places never do, a place without a number dies at once."""
    hit = failpoints("sink.after_insert:3, ws.append", die)
    for _ in range(2):
        hit("sink.after_insert")
        hit("sink.before_insert")
    with pytest.raises(DeadError):
        hit("sink.after_insert")
    with pytest.raises(DeadError):
        hit("ws.append")


def test_unset_it_is_a_function_that_does_nothing() -> None:
    """And an appender stays the one it was."""
    assert failpoints("", die) is nothing
    appender = MemoryLog().appender()
    assert with_failpoints(appender, "ws", nothing) is appender


@pytest.mark.parametrize("spec", [":3", "a:x", "a:-1"])
def test_what_is_no_place_is_refused(spec: str) -> None:
    """A misspelt one would prove nothing."""
    with pytest.raises(ValueError, match=f"expected NAME or NAME:N, was '{spec}'"):
        failpoints(spec, die)


def test_an_appender_dies_before_or_after_its_confirmation() -> None:
    """Before it nothing is promised, after it all is there; the record before the place is on the log."""
    for place, appended in (("fold.append:2", 1), ("fold.before_flush", 2), ("fold.after_flush", 2)):
        log = MemoryLog()
        log.create({"t": {}}, 1)
        appender = with_failpoints(log.appender(), "fold", failpoints(place, die))
        with pytest.raises(DeadError):
            _work(appender)
        assert appended == log.watermarks(["t"])["t", 0].high


def _work(appender) -> None:
    appender.append("t", b"1", partition=0)
    appender.append("t", b"2", partition=0)
    appender.poll()
    assert 0 == appender.pending()
    appender.flush()
    appender.close()
