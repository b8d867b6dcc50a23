"""A straight computation of what the tables should say, from decoded frames alone. Shares no code with the project.

Decimal and dictionaries, one frame after another, in the order of the recording.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

ONE = Decimal(1)


@dataclass
class Expected:
    """What a run of frames means. bars: (market, minute) -> (open, high, low, close, volume, trades)."""

    trades: dict[str, dict[str, Any]] = field(default_factory=dict)
    bars: dict[tuple[str, int], tuple[Decimal, Decimal, Decimal, Decimal, Decimal, int]] = field(default_factory=dict)
    quotes: dict[tuple[str, int], tuple[Decimal | None, Decimal | None]] = field(default_factory=dict)
    best: dict[str, tuple[Decimal | None, Decimal | None]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)

    def minutes(self) -> set[tuple[str, int]]:
        """Every (market, minute) that must have a bar."""
        return {(market, m) for market in self.first for m in range(self.first[market], self.last[market] + 1)}

    def quote(self, market: str, minute: int) -> tuple[Decimal | None, Decimal | None]:
        """Best bid and ask at the end of the minute, from the last change before it."""
        return self.quotes.get(
            (market, max((m for k, m in self.quotes if k == market and m <= minute), default=-1)), (None, None)
        )


def straight(frames: Iterable[dict[str, Any]]) -> Expected:
    """Fold undisturbed frames."""
    expected = Expected()
    books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    snapped: dict[str, bool] = {}
    latest_ms = 0
    for frame in frames:
        kind, msg = frame["type"], frame["msg"]
        market = msg.get("market_ticker")
        if kind == "trade":
            expected.trades.setdefault(msg["trade_id"], msg)
        if kind == "orderbook_snapshot":
            books[market] = {
                side: {Decimal(p): Decimal(s) for p, s in msg.get(f"{side}_dollars_fp", [])} for side in ("yes", "no")
            }
            snapped[market] = True
            _quote(expected, books[market], market, latest_ms // 60_000)
        if kind == "orderbook_delta":
            book = books.setdefault(market, {"yes": {}, "no": {}})
            levels, price = book[msg["side"]], Decimal(msg["price_dollars"])
            levels[price] = levels.get(price, Decimal(0)) + Decimal(msg["delta_fp"])
            if levels[price] == 0:
                del levels[price]
            if snapped.get(market):
                _quote(expected, book, market, msg["ts_ms"] // 60_000)
        if kind in {"orderbook_delta", "trade"}:
            latest_ms = max(latest_ms, msg["ts_ms"])
            minute = msg["ts_ms"] // 60_000
            expected.first[market] = min(expected.first.get(market, minute), minute)
            expected.last[market] = max(expected.last.get(market, minute), minute)
    _bars(expected)
    return expected


def _quote(expected: Expected, book: dict[str, dict[Decimal, Decimal]], market: str, minute: int) -> None:
    bid = max(book["yes"], default=None)
    no_bid = max(book["no"], default=None)
    quote = (bid, None if no_bid is None else ONE - no_bid)
    expected.quotes[market, minute] = expected.best[market] = quote


def _bars(expected: Expected) -> None:
    by_minute: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for trade in expected.trades.values():
        by_minute.setdefault((trade["market_ticker"], trade["ts_ms"] // 60_000), []).append(trade)
    for key, trades in by_minute.items():
        trades.sort(key=lambda trade: (trade["ts_ms"], trade["trade_id"]))
        prices = [Decimal(trade["yes_price_dollars"]) for trade in trades]
        volume = sum((Decimal(trade["count_fp"]) for trade in trades), Decimal(0))
        expected.bars[key] = (prices[0], max(prices), min(prices), prices[-1], volume, len(trades))
