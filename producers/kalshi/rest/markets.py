"""Which markets of a series are open: what the socket's recorder asks before it subscribes."""

import msgspec
from msgspec import Struct

from producers.kalshi.rest.asker import Asker, Refusal
from producers.kalshi.rest.pages import Listing
from topics.errors import Refused, Unavailable

PAGE_LIMIT = 1000
# A market that is not open yet is watched too: no frame tells of its opening. What is closed trades no more, and is
# announced again (`activated`) if it does.
OPEN = frozenset({"initialized", "active", "inactive"})
_UNAUTHORIZED = 401


class _Market(Struct):
    ticker: str
    status: str


class _Markets(Struct):
    markets: list[_Market]


class Markets:
    """Lists markets by the rules of `asker`: its budget, its attempts, its breaker."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    async def open_tickers(self, series_ticker: str) -> list[str]:
        """The tickers of all markets of a series that are open or may open, in the order of the pages.

        Raises Unavailable when any page fails or the cursor runs in circles: a part of the list is no list. Raises
        Refused where our signature is not taken.
        """
        listing = Listing("/markets", "markets", {"series_ticker": series_ticker, "limit": PAGE_LIMIT})
        try:
            pages = await self._asker.listing(listing, "live")
            listed = [market for page in pages for market in msgspec.json.decode(page.body, type=_Markets).markets]
        except Refusal as refusal:
            if refusal.answer.status == _UNAUTHORIZED:
                raise Refused(
                    f"Kalshi answered the listing of {series_ticker} with HTTP 401; check KALSHI_API_KEY_ID, its private "
                    "key, and this machine's clock"
                ) from refusal
            raise Unavailable("Kalshi REST", f"markets of {series_ticker}: {refusal}") from refusal
        except msgspec.MsgspecError as error:
            raise Unavailable("Kalshi REST", f"markets of {series_ticker}: unexpected answer: {error}") from error
        return list(dict.fromkeys(market.ticker for market in listed if market.status in OPEN))
