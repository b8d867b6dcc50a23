"""What the status says when there is nothing to show."""

import io
from typing import Any

import pytest
from rich.console import Console

from sinks.tables import StatementRefused, StoreUnavailable
from tapefold import progress, screen
from tapefold.screen import Screen
from topics.errors import Unavailable


def test_a_part_that_is_away_is_told_apart_from_one_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each at once when it is new, and not at every look."""
    errors = [
        Unavailable("the broker", "no answer"),
        StoreUnavailable("no answer either"),
        StatementRefused(60, "no such table"),
    ]

    def lag(*_: Any) -> progress.Lag:
        raise errors.pop(0)

    monkeypatch.setattr(progress, "lag", lag)
    monkeypatch.setattr(screen, "LOOK_S", 0.0)
    shown = Screen(Console(file=(file := io.StringIO()), width=200))
    while errors:
        shown.look(None, None, None)  # type: ignore[arg-type]  # nobody is asked
    assert [
        "not reachable now, tried again: the broker is not available: no answer",
        "refused, waiting does not mend it: the store refused the statement (code 60): no such table",
    ] == file.getvalue().splitlines()
