"""The list of markets beside the WebSocket."""

# the expected value stands on the left, by the rule of this repo

import json

from tapefold.simulators.kalshi.markets import markets_page


def test_markets_are_listed_by_series_in_pages() -> None:
    """Pages of a series follow each other by cursor until it is empty; a wrong limit is status 400."""
    tickers = sorted(["KXA-26JAN01-B1.5", "KXA-26JAN01-T2", "KXA-26JAN02-T2", "KXAB-26JAN01-T2"])
    status, body = markets_page(tickers, "series_ticker=KXA&limit=2")
    page = json.loads(body)
    assert (200, "KXA-26JAN01-T2") == (status, page["cursor"])
    assert {"ticker": "KXA-26JAN01-B1.5", "event_ticker": "KXA-26JAN01", "status": "active"} == page["markets"][0]
    rest = json.loads(markets_page(tickers, f"series_ticker=KXA&limit=2&cursor={page['cursor']}")[1])
    assert (["KXA-26JAN02-T2"], "") == ([market["ticker"] for market in rest["markets"]], rest["cursor"])
    assert 4 == len(json.loads(markets_page(tickers, "")[1])["markets"])
    assert [400] * 3 == [markets_page(tickers, f"limit={limit}")[0] for limit in ("0", "1001", "x")]
