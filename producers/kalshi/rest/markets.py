"""Which markets of a series are open: what the socket's recorder asks before it subscribes."""

import msgspec
from msgspec import Struct

from producers.kalshi.rest.door import Answer, Door, NoAnswer
from producers.kalshi.rest.pages import Listing, NotAListing
from topics.errors import Unavailable

PAGE_LIMIT = 1000
# A market that is not open yet is watched too: no frame tells of its opening. What is closed trades no more, and is
# announced again (`activated`) if it does.
OPEN = frozenset({"initialized", "active", "inactive"})
_HTTP_OK = 200


class _Market(Struct):
    ticker: str
    status: str


def _must_be_ok(answer: Answer) -> None:
    if answer.status != _HTTP_OK:
        raise NotAListing(f"HTTP {answer.status}: {answer.body[:200].decode(errors='replace')}")


class Markets:
    """Lists markets through a door."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def open_tickers(self, series_ticker: str) -> list[str]:
        """The tickers of all markets of a series that are open or may open, in the order of the pages.

        Raises Unavailable when any page fails or the cursor runs in circles: a part of the list is no list.
        """
        tickers: dict[str, None] = {}
        listing = Listing("/markets", "markets", {"series_ticker": series_ticker, "limit": PAGE_LIMIT})
        try:
            while not listing.done:
                answer = await self._door.get(listing.url)
                _must_be_ok(answer)
                markets = [msgspec.json.decode(raw, type=_Market) for raw in listing.take(answer.body)]
                tickers.update(dict.fromkeys(market.ticker for market in markets if market.status in OPEN))
        except (NoAnswer, NotAListing) as error:
            raise Unavailable("Kalshi REST", f"markets of {series_ticker}: {error.detail}") from error
        except msgspec.MsgspecError as error:
            raise Unavailable("Kalshi REST", f"markets of {series_ticker}: unexpected answer: {error}") from error
        return list(tickers)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._door.aclose()
