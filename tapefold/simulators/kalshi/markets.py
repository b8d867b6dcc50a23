"""`GET /trade-api/v2/markets` over the tickers of a recording, so that a client can learn a series' markets. Pure.

Vendor: openapi.yaml, GetMarkets: `limit` to 1000 (100 when absent), opaque `cursor`, empty at the end.
"""

from bisect import bisect_right
from collections.abc import Sequence
from urllib.parse import parse_qs

import msgspec

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000


def markets_page(tickers: Sequence[str], query: str) -> tuple[int, bytes]:
    """HTTP status and JSON body for a query string; `tickers` are sorted. A cursor is the last ticker given out.

    Of the vendor's parameters `series_ticker`, `event_ticker`, `limit` and `cursor` are honoured, others ignored.
    Status is always `active`: a recording does not say when a market was open.
    """
    asked = {name: values[-1] for name, values in parse_qs(query).items()}
    limit_text = asked.get("limit", str(LIMIT_DEFAULT))
    if not (limit_text.isascii() and limit_text.isdigit() and 0 < int(limit_text) <= LIMIT_MAX):
        return 400, error_body("bad_request", f"expected limit from 1 to {LIMIT_MAX}, was {limit_text!r}")
    limit = int(limit_text)
    chosen = [
        ticker
        for ticker in tickers[bisect_right(tickers, asked.get("cursor", "")) :]
        if asked.get("series_ticker") in {None, ticker.split("-", maxsplit=1)[0]}
        and asked.get("event_ticker") in {None, event_of(ticker)}
    ]
    page = chosen[:limit]
    body = {
        "markets": [{"ticker": ticker, "event_ticker": event_of(ticker), "status": "active"} for ticker in page],
        "cursor": page[-1] if len(chosen) > limit else "",
    }
    return 200, msgspec.json.encode(body)


def event_of(ticker: str) -> str:
    """The event ticker of a market ticker: its first two parts, as in `KXHIGHNY-25APR04-B63.5`."""
    return "-".join(ticker.split("-")[:2])


def error_body(code: str, message: str) -> bytes:
    """An error in the vendor's documented flat form."""
    return msgspec.json.encode({"code": code, "message": message})
