"""Audits that run beside the sink, again and again."""

import threading
from typing import Any

import pytest

from sinks.audit import Finding
from tapefold import audits
from tapefold.audits import Outcome, keep_auditing
from topics.errors import Unavailable


class Told:
    """A logger that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        """Remember."""
        self.lines.append((event, fields))

    warning = info


def test_audits_are_run_until_the_stop_whatever_the_store_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that can not be run is said and tried the next time; what it finds is a metric and a warning each."""
    stop, told = threading.Event(), Told()
    finding = Finding("offset_missing", "raw-0 offset 7", "a row", "none")
    answers: list[Outcome | Unavailable] = [
        Unavailable("the store", "no answer"),
        Outcome([], 5, "ranges"),
        Outcome([finding], 6, "ranges"),
    ]

    def run(name: str, _: object) -> Outcome:
        assert "contiguity" == name
        answer = answers.pop(0)
        if not answers:
            stop.set()
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    monkeypatch.setattr(audits, "run", run)
    keep_auditing(object, 0.001, stop, told)  # type: ignore[arg-type]
    assert ["audit_failed", "metric", "metric", "audit_finding"] == [event for event, _ in told.lines]
    assert [(0, 5), (1, 6)] == [(line["value"], line["of"]) for event, line in told.lines if event == "metric"]
    assert {"audit": "contiguity", "place": "raw-0 offset 7"}.items() <= told.lines[-1][1].items()
