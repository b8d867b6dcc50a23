"""The list of a series' open markets, against a small HTTP server."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from producers.kalshi.rest.door import Door
from producers.kalshi.rest.markets import Markets
from topics.errors import Unavailable


@asynccontextmanager
async def answering(answers: Sequence[tuple[int, str]], seen: list[str]) -> AsyncIterator[str]:
    """A server that gives these answers in turn; `seen` gets the request lines."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        seen.append(request.split(b"\r\n")[0].decode())
        status, body = left.pop(0)
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/trade-api/v2"


def listed(*answers: tuple[int, str], seen: list[str] | None = None) -> list[str]:
    async def ask() -> list[str]:
        async with answering(answers, [] if seen is None else seen) as url:
            markets = Markets(Door(url, now_ns=lambda: 0))
            try:
                return await markets.open_tickers("KXHIGHNY")
            finally:
                await markets.aclose()

    return asyncio.run(ask())


def page(cursor: str, *markets: tuple[str, str]) -> tuple[int, str]:
    items = ",".join(f'{{"ticker":"{ticker}","status":"{status}"}}' for ticker, status in markets)
    return 200, f'{{"markets":[{items}],"cursor":"{cursor}"}}'


def test_all_pages_are_listed_and_closed_markets_left_out() -> None:
    """The cursor is passed back as it came; a market that is still to open counts as open."""
    seen: list[str] = []
    first = page("c/1", ("A-1", "active"), ("A-2", "finalized"), ("A-3", "initialized"))
    tickers = listed(first, page("", ("A-4", "inactive"), ("A-1", "active"), ("A-5", "closed")), seen=seen)

    assert ["A-1", "A-3", "A-4"] == tickers
    assert [
        "GET /trade-api/v2/markets?series_ticker=KXHIGHNY&limit=1000&cursor= HTTP/1.1",
        "GET /trade-api/v2/markets?series_ticker=KXHIGHNY&limit=1000&cursor=c%2F1 HTTP/1.1",
    ] == seen


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ((429, '{"error":"too many requests"}'), "HTTP 429"),
        ((200, "<html>"), "unexpected answer"),
        ((200, '{"markets":[{"ticker":"A-1"}]}'), "unexpected answer"),
        (page("one", ("A-2", "active")), "the cursor 'one' came twice"),
    ],
)
def test_a_failed_page_yields_no_partial_list(last: tuple[int, str], words: str) -> None:
    """Half of the markets would look like all of them."""
    with pytest.raises(Unavailable, match=words):
        listed(page("one", ("A-1", "active")), last)


def test_no_server_is_unavailable() -> None:
    """The caller tries again by its own rule."""
    with pytest.raises(Unavailable, match="Kalshi REST is not available"):
        asyncio.run(Markets(Door("http://127.0.0.1:1", now_ns=lambda: 0)).open_tickers("KXHIGHNY"))
