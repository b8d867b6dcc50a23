import re
from pathlib import Path

import pytest

from topics.failpoint import APPENDING, PLACES, failpoints, nothing, storer_with_failpoints, with_failpoints
from topics.log import MemoryLog
from topics.storer import Entry, MemoryStorer


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


@pytest.mark.parametrize("name", ["sink.afterinsert", "ws.flush", "nowhere"])
def test_a_place_that_nobody_passes_is_refused_by_name(name: str) -> None:
    """And the ones that exist are said."""
    with pytest.raises(ValueError, match=rf"expected one of .*sink\.after_insert.*, was '{name}'"):
        failpoints(f"{name}:2", die)


def test_every_place_that_code_names_is_known_and_every_known_one_is_named() -> None:
    """Both ways: a list beside the code would drift."""
    root = Path(__file__).parents[2]
    texts = [p.read_text() for folder in ("sinks", "tapefold") for p in (root / folder).rglob("*.py")]
    hit = {name for text in texts for name in re.findall(r'_hit\("([a-z_.]+)"\)', text)}
    parts = {part for text in texts for part in re.findall(r'with_failpoints\([^"\n]*"([a-z]+)"', text)}
    stages = {"ingest", "fold"}  # `run_agents` names them by their stage
    assert {place for place in PLACES if place.startswith("sink.")} == hit
    assert {place.partition(".")[0] for place in PLACES} - {"sink"} == parts | stages
    assert set(APPENDING) == (parts | stages) - {"webhook"}


def test_a_storer_dies_before_it_stores_or_before_it_says_so() -> None:
    """After the second nobody was told, yet the record stands: the sender comes again, and is a duplicate."""
    for place, stored in (("webhook.before_store", 0), ("webhook.after_store", 1)):
        log = MemoryLog()
        log.create({"t": {}}, 1)
        told: list[object] = []
        storer = storer_with_failpoints(MemoryStorer(log), "webhook", failpoints(place, die))
        with pytest.raises(DeadError):
            _store(storer, told)
        assert (stored, []) == (log.watermarks(["t"])["t", 0].high, told)
    storer = MemoryStorer(log)
    assert storer_with_failpoints(storer, "webhook", nothing) is storer


def _store(storer, told) -> None:
    storer.store(Entry("t", b"1", None, (), 0, 0), told.append)
    assert 1 == storer.pending()
    storer.poll()
    storer.close(1.0)


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
