"""The door to Kalshi's REST API: one GET, its status and its bytes as received. The only module here that imports httpx.

Market data needs no signature; with a key the calls draw on the account's own budget instead of the address's.
"""

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from producers.kalshi.auth import Signer
from topics.units import NS_PER_MS

TIMEOUT_S = 10.0


class Answer(NamedTuple):
    """url: path and query as asked, from the root. received_ns: our clock when the body was complete."""

    url: str
    status: int
    body: bytes
    received_ns: int


class NoAnswer(Exception):
    """Nothing came: no connection, a time-out, a body that broke off. `detail` has the library's words."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Door:
    """Asks one host. rest_url: such as `https://api.elections.kalshi.com/trade-api/v2`. proxy: its URL, None without.

    now_ns: the clock of the stamps. sign_ns: the wall, which signatures need; without it the same.
    """

    def __init__(
        self,
        rest_url: str,
        *,
        now_ns: Callable[[], int],
        sign_ns: Callable[[], int] | None = None,
        signer: Signer | None = None,
        timeout_s: float = TIMEOUT_S,
        proxy: str | None = None,
    ) -> None:
        split = urlsplit(rest_url.rstrip("/"))
        self._host = f"{split.scheme}://{split.netloc}"
        self._root = split.path
        self._now_ns = now_ns
        self._sign_ns = sign_ns or now_ns
        self._signer = signer
        self._client = httpx.AsyncClient(timeout=timeout_s, proxy=proxy, trust_env=False)

    async def get(self, path: str) -> Answer:
        """Ask for a path below the API's root, with its query. Raises NoAnswer."""
        url = self._root + path
        headers = {} if self._signer is None else self._signer.headers("GET", url, self._sign_ns() // NS_PER_MS)
        try:
            response = await self._client.get(self._host + url, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(repr(error)) from error
        return Answer(url, response.status_code, response.content, self._now_ns())

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()
