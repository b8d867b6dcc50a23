"""Faults as values."""

from typing import Any

import pytest

from tapefold.simulators.kalshi.faults import Faults


@pytest.mark.parametrize(
    "values",
    [
        {"drop_seq": 0},
        {"disconnect_every_frames": 0},
        {"stall_s": -1.0},
        {"outage_s": -1},
        {"duplicate_probability": 2},
    ],
)
def test_faults_out_of_range_are_refused(values: dict[str, Any]) -> None:
    """A fault that could never happen, or always, is a mistake in the command line."""
    with pytest.raises(ValueError, match="expected"):
        Faults(**values)
