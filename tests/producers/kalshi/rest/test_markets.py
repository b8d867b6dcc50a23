"""The list of a series' open markets, against a small HTTP server."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from producers.backoff import Breaker
from producers.kalshi.auth import Signer, verify
from producers.kalshi.rest import asker as asking
from producers.kalshi.rest.asker import Asker
from producers.kalshi.rest.budget import Budget
from producers.kalshi.rest.door import Door
from producers.kalshi.rest.markets import Markets
from topics.errors import Refused, Unavailable
from topics.units import NS_PER_MS

NOW_MS = 1_785_901_540_025


@asynccontextmanager
async def answering(answers: Sequence[tuple[int, str]], seen: list[bytes]) -> AsyncIterator[str]:
    """A server that gives these answers in turn; `seen` gets the requests."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        seen.append(request)
        status, body = left.pop(0)
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/trade-api/v2"


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries wait milliseconds, with the same rule."""
    real = asking.Backoff
    monkeypatch.setattr(asking, "Backoff", lambda: real(base_s=0.001, cap_s=0.01))


def listed(*answers: tuple[int, str], seen: list[bytes] | None = None, threshold: int = 0) -> list[str]:
    async def ask() -> list[str]:
        async with answering(answers, [] if seen is None else seen) as url:
            return await list_at(url, threshold)

    return asyncio.run(ask())


async def list_at(url: str, threshold: int = 0) -> list[str]:
    """The open markets of one series; the breaker opens for 0.2 s."""
    door = Door(url, now_ns=lambda: NOW_MS * NS_PER_MS, signer=Signer("key-1", PEM))
    budget = Budget("prestige", time.monotonic(), caller="ws")
    asker = Asker(door, budget, Breaker(threshold, 0.2), rng=random.Random(1), on_metric=lambda *_, **__: None)
    try:
        return await Markets(asker).open_tickers("KXHIGHNY")
    finally:
        await door.aclose()


def page(cursor: str, *markets: tuple[str, str]) -> tuple[int, str]:
    items = ",".join(f'{{"ticker":"{ticker}","status":"{status}"}}' for ticker, status in markets)
    return 200, f'{{"markets":[{items}],"cursor":"{cursor}"}}'


def test_all_pages_are_listed_and_closed_markets_left_out() -> None:
    """The cursor is passed back as it came; a market that is still to open counts as open."""
    seen: list[bytes] = []
    first = page("c/1", ("A-1", "active"), ("A-2", "finalized"), ("A-3", "initialized"))
    tickers = listed(first, page("", ("A-4", "inactive"), ("A-1", "active"), ("A-5", "closed")), seen=seen)

    assert ["A-1", "A-3", "A-4"] == tickers
    assert [
        "GET /trade-api/v2/markets?series_ticker=KXHIGHNY&limit=1000&cursor= HTTP/1.1",
        "GET /trade-api/v2/markets?series_ticker=KXHIGHNY&limit=1000&cursor=c%2F1 HTTP/1.1",
    ] == [request.split(b"\r\n")[0].decode() for request in seen]


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ((404, '{"error":"not found"}'), "HTTP 404"),
        ((200, "<html>"), "unexpected answer"),
        ((200, '{"markets":[{"ticker":"A-1"}]}'), "unexpected answer"),
        (page("one", ("A-2", "active")), "the cursor 'one' came twice"),
    ],
)
def test_a_failed_page_yields_no_partial_list(last: tuple[int, str], words: str) -> None:
    """Half of the markets would look like all of them."""
    with pytest.raises(Unavailable, match=words):
        listed(page("one", ("A-1", "active")), last)


def test_each_page_is_signed_and_what_may_pass_is_asked_again() -> None:
    """429 comes without Retry-After: the page is asked for once more, by the rules of all that ask REST."""
    seen: list[bytes] = []
    assert ["A-1"] == listed((429, "{}"), (503, ""), page("", ("A-1", "active")), seen=seen)
    assert 3 == len(seen)
    for request in seen:
        lines = request.decode("ascii").split("\r\n")
        headers = {name.upper(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        verify(KEY.public_key(), headers, "GET", "/trade-api/v2/markets", NOW_MS, 0)


def test_the_breaker_is_waited_for() -> None:
    """Two failures open it for 0.2 s: nothing is asked meanwhile, and then the listing goes on."""
    begun_s = time.monotonic()
    assert ["A-1"] == listed((503, ""), (503, ""), page("", ("A-1", "active")), threshold=2)
    assert time.monotonic() - begun_s >= 0.2


def test_a_signature_that_is_not_taken_is_refused() -> None:
    """The handshake would say the same: asking again mends neither key nor clock."""
    with pytest.raises(Refused, match="HTTP 401; check KALSHI_API_KEY_ID"):
        listed((401, "{}"))


def test_no_server_is_unavailable() -> None:
    """The caller tries again by its own rule."""
    with pytest.raises(Unavailable, match="Kalshi REST is not available"):
        asyncio.run(list_at("http://127.0.0.1:1"))
