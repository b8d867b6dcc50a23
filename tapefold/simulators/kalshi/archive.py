"""Kalshi's REST API over answers: recorded (`--archive` of `tapefold simulate kalshi`) or made up. Pure but for reading.

What was recorded is given out as it was recorded, item by item; listings are put together anew, with filters, limits and
opaque cursors of the vendor's OpenAPI. A series nobody recorded is given with its ticker alone. A recording is told
whatever the time is: it says what was, and its markets are as far as they were when they were recorded. What is made up
is told from its time on.
"""

import base64
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from msgspec import Raw

from tapefold.payloads import kalshi_rest
from tapefold.payloads.files import find
from tapefold.simulators.kalshi.markets import error_body
from topics.catalog import H_URL

ROOT = "/trade-api/v2"
NO_CUTOFF = "2000-01-01T00:00:00Z"
_LIMITS = {"markets": (100, 1_000), "trades": (100, 1_000), "events": (200, 200)}
_STATUS = {
    "unopened": {"initialized"}, "open": {"active"}, "paused": {"inactive"}, "settled": {"finalized"},
    "closed": {"closed", "determined", "disputed", "amended"},
}  # fmt: skip
_encode = msgspec.json.encode
_fields = msgspec.json.Decoder(dict[str, Raw]).decode

Reply = tuple[int, bytes]


class Told(NamedTuple):
    """What is said from `at_s` on (Unix seconds), as the answer to a path below `ROOT`."""

    at_s: int
    path: str
    body: bytes


class _Market(msgspec.Struct):
    ticker: str
    event_ticker: str
    close_time: str
    status: str = ""


class _Trade(msgspec.Struct):
    ticker: str
    created_time: str


class Archive:
    """Answers as one API. cutoff: markets that closed before live at the historical endpoints.

    told: what is said from a time on, oldest first. now_s: the simulated time in Unix seconds; it never goes back.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        *,
        cutoff: str = NO_CUTOFF,
        told: Iterable[Told] = (),
        now_s: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._cutoff = cutoff
        self._cutoff_s = _seconds(cutoff)
        self._markets: dict[str, tuple[_Market, Raw]] = {}
        self._events: dict[str, Raw] = {}
        self._series: dict[str, Raw] = {}
        self._trades: dict[str, dict[bytes, tuple[int, Raw]]] = {}
        self._candles: dict[str, list[Raw]] = {}
        self._books: dict[str, bytes] = {}
        self._to_come = deque(told)
        self._now_s = now_s
        for path in find(paths, kalshi_rest.SUFFIXES):
            for payload in kalshi_rest.payloads(path):
                self._take(dict(payload.headers)[H_URL].decode(), payload.value)

    def tickers(self) -> list[str]:
        """All markets so far, sorted."""
        return sorted({*self._markets, *self._trades})

    def reply(self, path: str, query: str) -> Reply:  # noqa: PLR0911  # one for each path
        """HTTP status and body for a path below the API's root."""
        self._advance()
        parts = tuple(unquote(part) for part in path.strip("/").split("/"))
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        historical = parts[0] == "historical"
        match parts[1:] if historical else parts:
            case ("cutoff",):
                return 200, _encode({"market_settled_ts": self._cutoff, "trades_created_ts": self._cutoff})
            case ("series", ticker):
                return 200, _encode({"series": self._series.get(ticker, {"ticker": ticker, "title": ticker})})
            case ("events",):
                return self._page("events", [raw for t, raw in sorted(self._events.items()) if _of(t, asked)], asked)
            case ("events", ticker) if ticker in self._events:
                markets = [raw for market, raw in self._markets.values() if market.event_ticker == ticker]
                return 200, _encode({"event": self._events[ticker], "markets": markets})
            case ("markets",):
                return self._page("markets", self._chosen(asked, historical=historical), asked)
            case ("markets", "trades") | ("trades",):
                return self._page("trades", self._traded(asked), asked)
            case ("markets", ticker) if ticker in self._markets and self._is_old(ticker) == historical:
                return 200, _encode({"market": self._markets[ticker][1]})
            case ("markets", ticker, "orderbook"):
                return 200, self._books.get(ticker, b'{"orderbook_fp":{"yes_dollars":null,"no_dollars":null}}')
            case ("series", _, "markets", ticker, "candlesticks") | ("markets", ticker, "candlesticks"):
                return 200, _encode({"ticker": ticker, "candlesticks": self._candles_of(ticker, asked)})
        return 404, error_body("not_found", f"no such thing: {path[:200]}")

    def _advance(self) -> None:
        """Take what is told by now."""
        while self._to_come and self._to_come[0].at_s <= self._now_s():
            told = self._to_come.popleft()
            self._take(told.path, told.body)

    def _take(self, url: str, value: bytes) -> None:
        """Keep what an answer states; what is no JSON object states nothing."""
        try:
            body = _fields(value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        parts = urlsplit(url).path.removeprefix(ROOT).strip("/").split("/")
        for raw in [*_list(body.get("markets")), *_one(body.get("market"))]:
            self._keep_market(raw)
        for raw in [*_list(body.get("events")), *_one(body.get("event"))]:
            self._events[msgspec.json.decode(raw)["event_ticker"]] = raw
            for nested in _list(_fields(raw).get("markets")):
                self._keep_market(nested)
        for raw in [*_list(body.get("series")), *_one(body.get("series"))]:
            self._series[msgspec.json.decode(raw)["ticker"]] = raw
        for raw in _list(body.get("trades")):
            trade = msgspec.json.decode(raw, type=_Trade)
            self._trades.setdefault(trade.ticker, {})[bytes(raw)] = (_seconds(trade.created_time), raw)
        if parts[-1] == "orderbook":
            self._books[parts[-2]] = value
        elif parts[-1] == "candlesticks" and "candlesticks" in body:
            self._candles.setdefault(parts[-2], []).extend(_list(body["candlesticks"]))

    def _keep_market(self, raw: Raw) -> None:
        try:
            market = msgspec.json.decode(raw, type=_Market)
        except msgspec.ValidationError:
            return  # the lists of batch candles are called markets, too
        self._markets[market.ticker] = (market, raw)

    def _is_old(self, ticker: str) -> bool:
        return _seconds(self._markets[ticker][0].close_time) < self._cutoff_s

    def _chosen(self, asked: dict[str, str], *, historical: bool) -> list[Raw]:
        least, most = int(asked.get("min_close_ts", 0)), int(asked.get("max_close_ts", 2**40))
        wanted = _STATUS.get(asked.get("status", ""))
        return [
            raw
            for ticker, (market, raw) in sorted(self._markets.items())
            if _of(ticker, asked)
            and asked.get("event_ticker") in {None, market.event_ticker}
            and (wanted is None or market.status in wanted)
            and least <= _seconds(market.close_time) <= most
            and self._is_old(ticker) == historical
        ]

    def _traded(self, asked: dict[str, str]) -> list[Raw]:
        """Newest first, as recorded answers have them."""
        least, most = int(asked.get("min_ts", 0)), int(asked.get("max_ts", 2**40))
        ticker = asked.get("ticker")
        held = self._trades.values() if ticker is None else [self._trades.get(ticker, {})]
        trades = [trade for each in held for trade in each.values() if least <= trade[0] <= most]
        return [raw for _, raw in sorted(trades, key=_first, reverse=True)]

    def _candles_of(self, ticker: str, asked: dict[str, str]) -> list[Raw]:
        least, most = int(asked.get("start_ts", 0)), int(asked.get("end_ts", 2**40))
        return [
            raw for raw in self._candles.get(ticker, []) if least <= msgspec.json.decode(raw)["end_period_ts"] <= most
        ]

    def _page(self, name: str, items: Sequence[Raw], asked: dict[str, str]) -> Reply:
        default, most = _LIMITS[name]
        text = asked.get("limit", str(default))
        if not (text.isascii() and text.isdigit() and 0 < int(text) <= most):
            return 400, error_body("bad_request", f"expected limit from 1 to {most}, was {text!r}")
        try:
            start = int(base64.b64decode(asked.get("cursor", "") or "MA==", validate=True))
        except ValueError:
            return 400, error_body("bad_request", "cursor: expected one that we gave")
        end = start + int(text)
        cursor = base64.b64encode(str(end).encode()).decode() if end < len(items) else ""
        return 200, _encode({name: items[start:end], "cursor": cursor})


def _of(ticker: str, asked: dict[str, str]) -> bool:
    return asked.get("series_ticker") in {None, ticker.partition("-")[0]}


def _first(trade: tuple[int, Raw]) -> int:
    return trade[0]


def _list(raw: Raw | None) -> list[Raw]:
    return msgspec.json.decode(raw, type=list[Raw]) if raw is not None and bytes(raw).startswith(b"[") else []


def _one(raw: Raw | None) -> list[Raw]:
    return [raw] if raw is not None and bytes(raw).startswith(b"{") else []


def _seconds(text: str) -> int:
    return int((datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
