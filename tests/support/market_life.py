"""One market for tests of the bars operator: its minutes in a dictionary, its connections heard as a test says."""

from make import M0, MARKET

from stream_processors.minutes import Minute, Point
from stream_processors.operators.bars import Market, add_point, bar, close_minutes, known_rank, span
from topics.events import Cause


def cause(offset, *, topic="raw.kalshi.ws", partition=0):
    """Where a trade stands on the log."""
    return Cause(topic, partition, offset)


def point(minute, bid=400_000, *, changes=1, trusted=True, known_ns=0, known_by="observed"):
    """A quote of `minute` minutes after M0."""
    return Point(
        M0 + minute,
        changes,
        trusted,
        bid if trusted else None,
        600_000 if trusted else None,
        known_ns,
        known_rank(known_by),
    )


class Life:
    """One market with its minutes in a dictionary, and connections that are heard as far as a test says."""

    def __init__(self):
        self.market = Market()
        self.minutes = {}
        self.heard_ns = {}
        self.gone = set()

    def minute(self, number):
        """The state of a minute, new if there is none."""
        return self.minutes.setdefault(number, Minute())

    def span(self, minute):
        """Widen the life; returns the closed minutes that need a row now."""
        return [number - M0 for number in span(self.market, M0 + minute)]

    def quote(self, minute, bid=400_000, *, conn="c1", order=(0, 0), **over):
        """One session's quote of a minute."""
        add_point(self.market, f"{conn}/1", conn, order, point(minute, bid, **over))
        return self

    def close(self, watermark_ns, **heard_ns):
        """Close up to the watermark with these connections heard so far; returns the minutes that changed."""
        self.heard_ns |= heard_ns
        changed = close_minutes(
            self.market, watermark_ns, lambda conn: (self.heard_ns.get(conn, -1), conn in self.gone), self.minute
        )
        return [number - M0 for number in changed]

    def bar(self, minute):
        """The row of a minute."""
        return bar(MARKET, self.market, M0 + minute, self.minute(M0 + minute))

    def bids(self, *minutes):
        """The bids of some minutes."""
        return [self.bar(minute).yes_bid_e6 for minute in minutes]
