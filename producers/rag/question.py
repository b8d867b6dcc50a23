"""What a predictor is asked, and the headers that say so beside its answer. Pure.

{"run_id": "...", "run_as_of_ts": "2026-04-11T18:00:00.000000000Z", "series_ticker": "KXHIGHMIA",
 "features": "features_weather/2", "markets": [{"market_ticker": "KXHIGHMIA-26APR11-B84.5", "minute": ..., ...}]}
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import msgspec

from topics import catalog
from topics.rag import H_ASKED, H_ASOF_NS, H_FEATURES, H_RUN_ID
from topics.units import NS_PER_S

RETRY_AFTER_S_MAX = 3_600.0  # a mistaken date must not silence us for years


class Features(NamedTuple):
    """Newest row of each market. features: their set and its version. rows: JSON objects, as the store wrote them."""

    features: str
    markets: tuple[str, ...]
    rows: tuple[bytes, ...]


class _Row(msgspec.Struct):
    market_ticker: str
    feature_version: int


class Question(NamedTuple):
    """One run: its id, its as-of time, and what it is about."""

    run_id: str
    series_ticker: str
    asof_ns: int
    about: Features

    def body(self) -> bytes:
        """The request, JSON."""
        return msgspec.json.encode(
            {
                "run_id": self.run_id,
                "run_as_of_ts": time_text(self.asof_ns, "T", "Z"),
                "series_ticker": self.series_ticker,
                "features": self.about.features,
                "markets": [msgspec.Raw(row) for row in self.about.rows],
            }
        )

    def headers(self, status: int) -> tuple[tuple[str, bytes], ...]:
        """Of the record that keeps the answer."""
        return (
            (catalog.H_STATUS, b"%03d" % status),
            (H_RUN_ID, self.run_id.encode()),
            (H_ASOF_NS, b"%d" % self.asof_ns),
            (H_FEATURES, self.about.features.encode()),
            (H_ASKED, ",".join(self.about.markets).encode()),
        )


def features_of(name: str, lines: Sequence[bytes]) -> Features:
    """Rows of a feature set, one JSON object each with `market_ticker` and `feature_version`; name: of the set."""
    read = [msgspec.json.decode(line, type=_Row) for line in lines]
    version = max((row.feature_version for row in read), default=0)
    return Features(f"{name}/{version}", tuple(row.market_ticker for row in read), tuple(lines))


def retry_after_s(text: str | None, date: str | None) -> float | None:
    """`Retry-After` of RFC 9110, seconds or a date, as seconds of at most `RETRY_AFTER_S_MAX`; None where it says nothing.

    date: the sender's own `Date`, by whose clock a date counts.
    """
    if text is None:
        return None
    if text.strip().isdecimal() and text.isascii():
        return min(float(text), RETRY_AFTER_S_MAX)
    try:
        until, told = parsedate_to_datetime(text), parsedate_to_datetime(date or "")
        wait_s = (until - told).total_seconds()
    except (ValueError, TypeError):  # no date, or one of the two without a zone
        return None
    return min(max(wait_s, 0.0), RETRY_AFTER_S_MAX)


def time_text(time_ns: int, between: str, zone: str) -> str:
    """Nanoseconds since the epoch as ISO text in UTC, to the nanosecond."""
    seconds, rest = divmod(time_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d{between}%H:%M:%S}.{rest:09d}{zone}"
