"""Scenarios for tests."""

from pathlib import Path

from tapefold.simulators.scenario import Fault, Scenario, read


def always(kind, of="iem", *, seconds=0.0):
    """One kind, at all times."""
    return Scenario((Fault(of, kind, 0, 2**62, 1.0, seconds, 0),))


def written(path: Path, text: str, *of: str) -> Scenario:
    """What a scenario file says to some simulators."""
    path.write_text(text)
    return read(path, *of)
