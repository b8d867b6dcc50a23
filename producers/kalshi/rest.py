"""Which markets of a series are open, from Kalshi's REST API. The only module of producers that imports httpx.

OpenAPI 3.34, GET /markets (read 2026-11): `cursor` is opaque and empty on the last page; market data needs no
signature; 429 comes without Retry-After, so whoever calls waits by its own rule.
"""

import httpx
import msgspec
from msgspec import Struct

from topics.errors import Unavailable

PAGE_LIMIT = 1000
PAGES_MAX = 1000  # a million markets of one series: a server that still has more is not telling the truth
TIMEOUT_S = 10.0
# A market that is not open yet is watched too: no frame tells of its opening. What is closed trades no more, and is
# announced again (`activated`) if it does.
_OPEN = frozenset({"initialized", "active", "inactive"})
_HTTP_OK = 200


class _Market(Struct):
    ticker: str
    status: str


class _Page(Struct):
    markets: list[_Market]
    cursor: str | None = None


class Markets:
    """Lists markets. rest_url: such as `https://external-api.kalshi.com/trade-api/v2`. proxy: its URL, None without."""

    def __init__(self, rest_url: str, *, timeout_s: float = TIMEOUT_S, proxy: str | None = None) -> None:
        self._rest_url = rest_url.rstrip("/")
        self._client = httpx.AsyncClient(timeout=timeout_s, proxy=proxy, trust_env=False)

    async def open_tickers(self, series_ticker: str) -> list[str]:
        """The tickers of all markets of a series that are open or may open, in the order of the pages.

        Raises Unavailable when any page fails or the cursor runs in circles: a part of the list is no list.
        """
        tickers: dict[str, None] = {}
        cursors = {""}
        cursor = ""
        for _ in range(PAGES_MAX):
            page = await self._page(series_ticker, cursor)
            tickers.update(dict.fromkeys(market.ticker for market in page.markets if market.status in _OPEN))
            cursor = page.cursor or ""
            if not cursor:
                return list(tickers)
            if cursor in cursors:
                raise Unavailable("Kalshi REST", f"markets of {series_ticker}: the cursor {cursor!r} came twice")
            cursors.add(cursor)
        raise Unavailable("Kalshi REST", f"markets of {series_ticker}: expected at most {PAGES_MAX} pages")

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def _page(self, series_ticker: str, cursor: str) -> _Page:
        params: dict[str, str | int] = {"series_ticker": series_ticker, "limit": PAGE_LIMIT, "cursor": cursor}
        try:
            response = await self._client.get(f"{self._rest_url}/markets", params=params)
        except httpx.HTTPError as error:
            raise Unavailable("Kalshi REST", f"markets of {series_ticker}: {error!r}") from error
        if response.status_code != _HTTP_OK:
            body = response.text[:200]
            raise Unavailable("Kalshi REST", f"markets of {series_ticker}: HTTP {response.status_code}: {body}")
        try:
            return msgspec.json.decode(response.content, type=_Page)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Unavailable("Kalshi REST", f"markets of {series_ticker}: unexpected answer: {error}") from error
