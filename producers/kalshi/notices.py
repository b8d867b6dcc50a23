"""A subscription, and the notices about it, each keyed by its market so that it stands in order among its frames."""

from typing import Literal

from msgspec import Struct, field

from producers.publish import Outgoing
from topics.events import Channel, CoverageNotice, GapKind, GapNotice

SOURCE = "kalshi.ws"


class Subscription(Struct):
    """One sid of one connection.

    markets: ticker -> when its coverage began. last_seq, latest_ns: the last number and the latest exchange time that
    the sid has shown, None before the first. books: markets whose snapshot came. wanted: ticker -> loop time at which
    to ask for its snapshot (again). refusals: requests for snapshots that were turned down in a row.
    """

    sid: int
    channel: Channel
    markets: dict[str, int] = field(default_factory=dict)
    last_seq: int | None = None
    latest_ns: int | None = None
    books: set[str] = field(default_factory=set)
    wanted: dict[str, int] = field(default_factory=dict)
    refusals: int = 0


def gap(
    conn: str,
    sub: Subscription,
    kind: GapKind,
    ticker: str,
    clock_ns: int,
    *,
    from_seq: int | None = None,
    to_seq: int | None = None,
) -> Outgoing:
    """Frames [from_seq, to_seq] of the subscription are lost for `ticker`; None where the number is unknown."""
    notice = GapNotice(
        source=SOURCE,
        conn=conn,
        sid=sub.sid,
        channel=sub.channel,
        kind=kind,
        market_ticker=ticker,
        from_seq=from_seq,
        to_seq=to_seq,
        clock_ns=clock_ns,
    )
    return Outgoing(notice, ticker.encode("ascii"), clock_ns)


def coverage_begins(conn: str, sub: Subscription, ticker: str, clock_ns: int) -> Outgoing:
    """From now on the subscription records `ticker`."""
    notice = CoverageNotice(
        source=SOURCE, conn=conn, sid=sub.sid, channel=sub.channel, market_ticker=ticker, started_ns=clock_ns
    )
    return Outgoing(notice, ticker.encode("ascii"), clock_ns)


def coverage_ends(
    conn: str, sub: Subscription, ticker: str, clock_ns: int, *, ended_by: Literal["stop", "gap"]
) -> Outgoing:
    """The subscription recorded `ticker` from `sub.markets[ticker]` to now; an interval never ends before it starts."""
    started_ns = sub.markets[ticker]
    notice = CoverageNotice(
        source=SOURCE,
        conn=conn,
        sid=sub.sid,
        channel=sub.channel,
        market_ticker=ticker,
        started_ns=started_ns,
        ended_ns=max(started_ns, clock_ns),
        ended_by=ended_by,
    )
    return Outgoing(notice, ticker.encode("ascii"), clock_ns)
