"""How far the sink is: lag, rate and when it will have caught up, as a `metric=` line every few seconds."""

import threading
from typing import Any, NamedTuple

from sinks.writer import SinkWriter
from topics.errors import Unavailable

EVERY_S = 10.0


class CatchUp(NamedTuple):
    """lag: records on the log that are not committed. eta_s: None while nothing moves or nothing is left."""

    lag: int
    records_per_s: float
    eta_s: float | None


def catch_up(before: int, now: int, elapsed_s: float, lag: int) -> CatchUp:
    """From the sums of all positions at two moments, and the lag at the second."""
    rate = (now - before) / elapsed_s
    return CatchUp(lag, rate, lag / rate if lag and rate > 0 else None)


def keep_telling(writer: SinkWriter, stop: threading.Event, logger: Any) -> None:
    """Tell every EVERY_S until `stop`; a log that does not answer is tried the next time."""
    before = 0
    while not stop.wait(EVERY_S):
        now = sum(writer.positions().values())
        try:
            lag = writer.lag()
        except Unavailable:
            continue
        if before:
            told = catch_up(before, now, EVERY_S, lag)
            eta_s = None if told.eta_s is None else round(told.eta_s, 1)
            logger.info(
                "metric",
                metric="sink_lag",
                value=told.lag,
                records_per_s=round(told.records_per_s, 1),
                eta_s=eta_s,
                duplicate_rows=writer.duplicate_rows(),
                unknown_fields=writer.unknown_fields(),
                refused_rows=writer.refused_rows(),
            )
        before = now
