"""The door to IEM: one GET, its status and its bytes as received. The only module here that imports httpx."""

import httpx

from producers.iem.look import Reply

TIMEOUT_S = 75.0  # their proxy gives up after 60
BODY_BYTES_MAX = 15 * 1024 * 1024  # the log takes 16 MiB with key and headers
_AGENT = "tapefold (records model output statistics and climate reports)"


class Door:
    """Keeps its connections. proxy: its URL, None without."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S, proxy: str | None = None) -> None:
        headers = {"User-Agent": _AGENT}
        self._client = httpx.AsyncClient(timeout=timeout_s, proxy=proxy, trust_env=False, headers=headers)

    async def get(self, url: str) -> tuple[Reply, str]:
        """The answer, and in words why there was none: then its status is 0 and its body empty."""
        try:
            async with self._client.stream("GET", url) as response:
                body = bytearray()
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > BODY_BYTES_MAX:
                        return Reply(0, b""), f"expected at most {BODY_BYTES_MAX} bytes"
                return Reply(response.status_code, bytes(body)), ""
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Reply(0, b""), repr(error)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()
