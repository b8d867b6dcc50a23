"""What producers say of their own work beside the log: one observation at a time, for whoever prints or counts them."""

from typing import Literal, Protocol

MetricName = Literal[
    "ws.frames",  # each second: frames and bytes since the last, repeated and dropped ones so far
    "ws.beat",
    "ws.gap",  # frames of a subscription were lost
    "ws.reconnect",  # a connection ended; after a pause there will be another
    "ws.discovery",  # the listing of open markets failed; it is asked for again
    "rest.discovery",  # a series was listed
    "rest.backfill",  # a page of a market's past was taken
    "rest.closed_cleanup",  # outcomes of closed markets were asked for
    "rest.retry",
    "rest.breaker",  # too many failures: nothing is asked for a while
    "rest.failed",  # a round was given up; the next one comes in its time
    "rest.incomplete",  # a final market's answers do not add up to its volume: asked for again
    "rest.refused",  # an answer says that asking again will not help
    "rest.unresolved",  # the exchange names another station than the registry: nothing of it is fetched
    "rag.predictions",  # a run: markets asked about, predictions told, runs and failures so far
    "rag.retry",
    "rag.breaker",  # too many failures: nobody is asked a while
    "rag.failed",  # a question was given up; the next one comes in its time
    "rag.refused",  # an answer that cannot be used; it is kept
    "iem.answer",
    "iem.stations",  # the list that IEM_STATIONS is held against
    "iem.backoff",  # the upstream is busy: nothing is asked for a while
    "iem.history",  # units of the past: done, left, given up
    "tws.connected",
    "tws.alive",  # each tenth beat
    "tws.reconnect",
    "tws.outage",  # the line, or TWS's own line, is gone
    "tws.outage_end",
    "tws.plan",  # units that are fetched now
    "tws.unit",  # how one of them ended
    "tws.retry",
    "tws.pacing",  # TWS says that we asked too fast
    "tws.paced",  # our own rule made a request wait
    "tws.live_failed",  # a growing bar is not told any more
]


class OnMetric(Protocol):
    """Told of each observation, with fields."""

    def __call__(self, name: MetricName, **fields: object) -> None:
        """One observation."""
