"""The pages of one listing, from the first to the empty cursor. Pure.

OpenAPI 3.34 (read 2026-11): `cursor` is opaque, passed back as it came, empty, null or absent at the end; its order is
not documented. A listing that does not end, or whose cursor runs in circles, is no listing.
"""

from urllib.parse import urlencode

import msgspec
from msgspec import Raw

PAGES_MAX = 1_000  # a million markets of one series: a server that still has more is not telling the truth


class NotAListing(Exception):
    """The answers are no listing; `detail` says why."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class _Page(msgspec.Struct):
    cursor: str | None = None


_decode = msgspec.json.Decoder(_Page).decode
_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class Listing:
    """One listing on its way. path: below the API's root. name: the field that holds the items. url: what to ask next."""

    def __init__(self, path: str, name: str, params: dict[str, str | int], *, pages_max: int = PAGES_MAX) -> None:
        self._path = path
        self._name = name
        self._params = params
        self._pages_max = pages_max
        self._cursors = {""}
        self._pages = 0
        self.done = False
        self.url = f"{path}?{urlencode(params | {'cursor': ''})}"

    def take(self, body: bytes) -> list[Raw]:
        """The items of the page that `url` brought; afterwards `url` is the next one, or `done`. Raises NotAListing."""
        try:
            fields = _fields(body)
            items = msgspec.json.decode(fields[self._name], type=list[Raw])
            cursor = _decode(body).cursor or ""
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise NotAListing(f"unexpected answer: {error}") from error
        except KeyError as error:
            raise NotAListing(f"unexpected answer: expected a list `{self._name}`, was absent") from error
        self._pages += 1
        if not cursor:
            self.done = True
        elif cursor in self._cursors:
            raise NotAListing(f"the cursor {cursor!r} came twice")
        elif self._pages == self._pages_max:
            raise NotAListing(f"expected at most {self._pages_max} pages")
        self._cursors.add(cursor)
        self.url = f"{self._path}?{urlencode(self._params | {'cursor': cursor})}"
        return items
