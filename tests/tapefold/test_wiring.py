"""What the composition root itself does."""

import structlog

from tapefold.wiring import metrics_to_log


def test_metric_lines_count_their_name():
    """`total` is how many lines of one metric a service has told: a storm shows in any one of them."""
    with structlog.testing.capture_logs() as lines:
        on_metric = metrics_to_log("rest")
        for _ in range(3):
            on_metric("rest.retry", url="/x")
        on_metric("rest.breaker", state="open")
    assert [("rest.retry", 1), ("rest.retry", 2), ("rest.retry", 3), ("rest.breaker", 1)] == [
        (line["metric"], line["total"]) for line in lines
    ]
    assert {"/x"} == {line["url"] for line in lines[:3]}
