"""What a worker's log says of the completeness of as-of forecasts."""

import pytest
import structlog
from weather import WeatherFold, forecast, forecast_beat, ns, policy

from stream_processors.app import Report
from stream_processors.completeness import ANSWERS_MAX, EVERY_S, QUIET_S, Completeness
from stream_processors.outputs import Output
from topics.catalog import ASOF_FORECAST, FACT_FORECAST, FACT_POLICY


def outputs(*facts):
    """What a fold of the facts tells, for a policy that asks two models."""
    fold = WeatherFold().feed(FACT_POLICY, policy(models=("GFS", "NBS")))
    return fold.feed(FACT_FORECAST, *facts).outputs


RUNS = [
    forecast(f"2026-04-{day} 12:00", f"2026-04-{day + 2} 00:00", 85, f"2026-04-{day} {known}", offset=day)
    for day, known in ((10, "16:30"), (11, "23:30"), (12, "16:30"), (13, "23:30"))
]
TOLD = outputs(*RUNS, forecast_beat(ns("2026-04-14 12:00")))


def test_missing_percent_and_top_reasons_per_model():
    """Two of four days came too late or not for GFS, and nobody asked for NBS: answers whose time has not come are left out."""
    counted = Completeness()
    counted.take(TOLD, 0.0)
    assert [
        {
            "policy": "test",
            "model": "GFS",
            "answers": 4,
            "missing_percent": 50.0,
            "top_reasons": {"known_too_late": 50.0},
        },
        {"policy": "test", "model": "NBS", "answers": 4, "missing_percent": 100.0, "top_reasons": {"no_run": 100.0}},
    ] == counted.figures()
    assert [] == counted.figures()


def test_an_answer_that_is_told_again_counts_once_and_as_it_was_told_last():
    """Rounds repeat what they did not confirm, and pending answers become what they are."""
    counted = Completeness()
    counted.take(outputs(*RUNS), 0.0)
    counted.take(TOLD, 1.0)
    counted.take(TOLD, 2.0)
    assert [4, 4] == [line["answers"] for line in counted.figures()]


@pytest.mark.parametrize(
    ("last_s", "now_s", "due"),
    [
        (0.0, QUIET_S - 1, False),
        (0.0, QUIET_S, True),
        (EVERY_S - 1, EVERY_S - 0.5, False),
        (EVERY_S - 1, EVERY_S, True),
    ],
)
def test_figures_are_due_when_nothing_comes_or_a_minute_has_passed(last_s, now_s, due):
    """A backfill that ends is told soon, one that goes on is told every minute."""
    counted = Completeness()
    counted.take(TOLD[:1], 0.0)
    counted.take(TOLD[1:2], last_s)
    assert due == counted.due(now_s)


def test_figures_are_due_at_once_when_too_many_are_held():
    """Memory is bounded, however fast a replay of years is."""
    counted = Completeness()
    line = b'{"row_id":"%d","policy_id":"p","model":"GFS","missing_reason":null}'
    counted.take([Output(ASOF_FORECAST, b"", None, line % n) for n in range(ANSWERS_MAX)], 0.0)
    assert counted.due(0.0)


def test_nothing_is_due_where_nothing_was_told():
    """Workers of other partitions are silent."""
    counted = Completeness()
    counted.take([], 0.0)
    assert not counted.due(10**6)


def test_the_worker_s_log_has_a_line_per_policy_and_model():
    """What somebody reads after a backfill: percent missing, and why; said once, when nothing more comes."""
    clock = [0.0]
    report = Report(lambda: clock[0])
    with structlog.testing.capture_logs() as lines:
        report.take(TOLD)
        report.tick()
        assert [] == lines
        clock[0] = QUIET_S
        report.tick()
        report.tick()
    assert [("mos_asof.completeness", "GFS", 50.0), ("mos_asof.completeness", "NBS", 100.0)] == [
        (line["metric"], line["model"], line["missing_percent"]) for line in lines
    ]
