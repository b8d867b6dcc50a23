import threading
from typing import Any

import pytest

from tapefold import catch_up as telling
from tapefold.catch_up import CatchUp, catch_up, keep_telling
from tapefold.screen import sink_text
from topics.errors import Unavailable


def test_the_time_left_is_what_is_left_by_what_was_done() -> None:
    """Ten seconds, 5,000 records, 2,000 left: four seconds."""
    assert CatchUp(2_000, 500.0, 4.0) == catch_up(1_000, 6_000, 10.0, 2_000)


def test_no_time_is_told_that_nobody_can_know() -> None:
    """A sink that stands still will never arrive, one without a lag has arrived."""
    assert CatchUp(7, 0.0, None) == catch_up(5, 5, 10.0, 7)
    assert CatchUp(0, 1.0, None) == catch_up(0, 10, 10.0, 0)


class Moving:
    """A sink that commits 500 records between two looks, on a log that once does not answer."""

    def __init__(self, stop: threading.Event) -> None:
        self.looks = 0
        self._stop = stop

    def positions(self) -> dict[tuple[str, int], int]:
        """500 more each time."""
        self.looks += 1
        if self.looks == 4:
            self._stop.set()
        return {("raw", 0): 300 * self.looks, ("raw", 1): 200 * self.looks}

    def lag(self) -> int:
        """A hundred thousand, but the second time nobody says."""
        if self.looks == 2:
            raise Unavailable("the log", "no answer")
        return 100_000

    def duplicate_rows(self) -> int:
        """Two."""
        return 2

    def unknown_fields(self) -> int:
        """Three."""
        return 3

    def refused_rows(self) -> int:
        """Four."""
        return 4


class Told:
    """A logger that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def info(self, _: str, **fields: Any) -> None:
        """Remember."""
        self.lines.append(fields)


def test_lag_rate_and_time_left_are_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second look on, and whether or not the log answers every time."""
    monkeypatch.setattr(telling, "EVERY_S", 0.01)
    stop, told = threading.Event(), Told()
    sink = Moving(stop)
    keep_telling(sink, stop, told)  # type: ignore[arg-type]
    assert sink.looks >= 4
    line = told.lines[-1]
    assert {"metric": "sink_lag", "value": 100_000}.items() <= line.items()
    assert {"duplicate_rows": 2, "unknown_fields": 3, "refused_rows": 4}.items() <= line.items()
    assert line["eta_s"] == round(100_000 / line["records_per_s"], 1) > 0


def test_the_status_says_how_fast_and_how_long() -> None:
    """A sink that stands still has no time left to tell."""
    assert "2,000 (500/s, 4 s left)" == sink_text(CatchUp(2_000, 500.0, 4.0))
    assert "7 (0/s)" == sink_text(CatchUp(7, 0.0, None))
