"""The door to the predictor: one POST, its status and its bytes as received. The only module here that imports httpx."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import httpx

from producers.rag.question import retry_after_s

BODY_BYTES_MAX = 8 * 1024 * 1024  # the log takes 16 MiB with key and headers; a prediction has some hundred bytes


class Answer(NamedTuple):
    """received_ns: our clock when the body was complete. retry_after_s: when to ask again, where it says so."""

    status: int
    body: bytes
    received_ns: int
    retry_after_s: float | None = None


class NoAnswer(Exception):
    """Nothing came, or more than anybody could mean. `detail` says what."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Door:
    """Asks one URL. api_key: sent as a bearer token, None for none. timeout_s: for the whole answer."""

    def __init__(self, url: str, *, now_ns: Callable[[], int], api_key: str | None, timeout_s: float) -> None:
        headers = {"Content-Type": "application/json"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._url = url
        self._now_ns = now_ns
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(timeout=timeout_s, trust_env=False, headers=headers)

    async def post(self, body: bytes) -> Answer:
        """Ask. Raises NoAnswer."""
        try:
            async with (
                asyncio.timeout(self._timeout_s),  # httpx's own is per piece: a body that drips would hold the recorder
                self._client.stream("POST", self._url, content=body) as response,
            ):
                said = bytearray()
                async for part in response.aiter_bytes():
                    said += part
                    if len(said) > BODY_BYTES_MAX:
                        raise NoAnswer(f"expected at most {BODY_BYTES_MAX} bytes")
                wait_s = retry_after_s(response.headers.get("retry-after"), response.headers.get("date"))
                return Answer(response.status_code, bytes(said), self._now_ns(), wait_s)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise NoAnswer(repr(error)) from error

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()
