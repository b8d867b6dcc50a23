"""The calendar of models: which runs the upstream promises of which time."""

from datetime import UTC, datetime

import pytest

from topics.iem import scheduled
from topics.units import NS_PER_DAY, NS_PER_S


def midnight_ns(day):
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * NS_PER_S


def cycles(model, day):
    """UTC hours of the runs that a day promises."""
    from_ns = midnight_ns(day)
    return [(run_ns - from_ns) // (3_600 * NS_PER_S) for run_ns in scheduled(model, from_ns, from_ns + NS_PER_DAY - 1)]


@pytest.mark.parametrize(
    ("model", "day", "hours"),
    [
        ("NBS", "2018-11-06", []),
        ("NBS", "2018-11-07", [0, 7, 12, 19]),
        ("NBS", "2020-02-25", [0, 7, 12, 19]),
        ("NBS", "2020-02-26", [1, 7, 13, 19]),
        ("NBS", "2026-05-04", [1, 7, 13, 19]),
        ("NBS", "2026-05-05", [0, 6, 12, 18]),
        ("NBE", "2020-07-22", []),
        ("NBE", "2020-07-23", [1, 7, 13, 19]),
        ("NBE", "2026-05-05", [0, 6, 12, 18]),
        ("GFS", "2003-12-16", [0, 6, 12, 18]),
        ("NAM", "2008-12-09", [0, 12]),
        ("MEX", "2020-07-12", [0, 12]),
        ("LAV", "2020-07-12", [0, 6, 12, 18]),
    ],
)
def test_each_era_has_its_cycles(model, day, hours):
    """IEM htdocs/mos/index.php and commit 58b90769c: the National Blend has had three sets of cycles."""
    assert hours == cycles(model, day)
