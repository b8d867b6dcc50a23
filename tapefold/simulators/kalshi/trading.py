"""How a made-up market trades: a book, and what happens to it, as messages in the shape of after 2026-04-15. Pure.

Deltas never take a level below zero and best bids never cross; a trade comes with the delta that it takes out of the
book, at the same `ts_ms`; a `ticker` repeats what book and trades say.
"""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

CENTS_MAX = 99
_LEVELS = 9

Put = Callable[[str, dict[str, object]], None]
"""Told of each message: the frame's type and its `msg`."""


@dataclass
class Market:
    """Books by side, cents -> hundredths of contracts, and what the ticker shows."""

    ticker: str
    market_id: str
    bids: dict[str, dict[int, int]]
    last: int = 50
    last_size: int = 0
    volume: int = 0

    def best(self, side: str) -> int:
        """The best bid in cents, 0 when there is none."""
        return max(self.bids[side], default=0)


def open_market(rng: random.Random, ticker: str, middle: int) -> Market:
    """A market with bids on both sides of `middle`, in cents."""
    sides = {}
    for side, top in (("yes", middle - 2), ("no", 100 - middle - 2)):
        prices = range(max(1, top - _LEVELS), top + 1)
        sides[side] = {price: rng.randrange(100, 50_000) for price in prices}
    return Market(ticker, _uuid(rng), sides, last=middle)


class Trader:
    """What happens to markets. now_ms: the exchange's time, moved by whoever drives it."""

    def __init__(self, rng: random.Random, put: Put) -> None:
        self.now_ms = 0
        self._rng = rng
        self._put = put

    def something(self, market: Market) -> None:
        """A trade, a ticker or a change of the book."""
        kind = self._rng.random()
        if kind < 0.12:  # noqa: PLR2004  (shares of the traffic, about those of a busy market)
            self._trade(market)
        elif kind < 0.25:  # noqa: PLR2004
            self.ticker(market)
        else:
            self._quote(market)

    def _quote(self, market: Market) -> None:
        """Someone places or withdraws a bid, some levels below the other side's best."""
        side, other = self._rng.sample(("yes", "no"), 2)
        price_max = CENTS_MAX - market.best(other)
        price = max(1, price_max - self._rng.randrange(12))
        resting = market.bids[side].get(price, 0)
        withdraw = resting > 0 and self._rng.random() < 0.5  # noqa: PLR2004
        size = -self._rng.choice((resting, self._rng.randint(1, resting))) if withdraw else self._rng.randint(1, 30_000)
        self._delta(market, side, price, size)

    def _trade(self, market: Market) -> None:
        """A taker buys one outcome out of the other side's best bid."""
        outcome, resting_side = self._rng.sample(("yes", "no"), 2)
        price = market.best(resting_side)
        if not price:
            self._quote(market)
            return
        resting = market.bids[resting_side][price]
        size = self._rng.choice((resting, self._rng.randint(1, resting)))
        yes = price if resting_side == "yes" else 100 - price
        market.last, market.last_size = yes, size
        market.volume += size
        self._delta(market, resting_side, price, -size)
        self._put(
            "trade",
            {
                "trade_id": _uuid(self._rng),
                "market_ticker": market.ticker,
                "yes_price_dollars": dollars(yes),
                "no_price_dollars": dollars(100 - yes),
                "count_fp": contracts(size),
                "taker_side": outcome,
                "taker_outcome_side": outcome,
                "taker_book_side": "bid" if outcome == "yes" else "ask",
                "is_block_trade": False,
                "ts": self.now_ms // 1000,
                "ts_ms": self.now_ms,
            },
        )

    def _delta(self, market: Market, side: str, price: int, size: int) -> None:
        levels = market.bids[side]
        levels[price] = levels.get(price, 0) + size
        if not levels[price]:
            del levels[price]
        self._put(
            "orderbook_delta",
            {
                "market_ticker": market.ticker,
                "market_id": market.market_id,
                "price_dollars": dollars(price),
                "delta_fp": contracts(size),
                "side": side,
                "ts": self._time(),
                "ts_ms": self.now_ms,
            },
        )

    def snapshot(self, market: Market) -> None:
        """The whole book."""
        sides = {f"{side}_dollars_fp": told for side, told in levels_of(market).items()}
        self._put("orderbook_snapshot", {"market_ticker": market.ticker, "market_id": market.market_id, **sides})

    def ticker(self, market: Market) -> None:
        """What book and trades say."""
        self._put(
            "ticker",
            {
                "market_id": market.market_id,
                "market_ticker": market.ticker,
                "price_dollars": dollars(market.last),
                **quotes(market),
                "open_interest_fp": contracts(market.volume),
                "dollar_volume": market.volume // 200,
                "dollar_open_interest": market.volume // 200,
                "last_trade_size_fp": contracts(market.last_size),
                "ts": self.now_ms // 1000,
                "ts_ms": self.now_ms,
                "time": self._time(),
            },
        )

    def _time(self) -> str:
        moment = datetime.fromtimestamp(self.now_ms // 1000, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{self.now_ms % 1000:03d}Z"


def quotes(market: Market) -> dict[str, object]:
    """Best bids and asks with their sizes, and the volume, as tickers and REST name them alike."""
    no_best = market.best("no")
    return {
        "yes_bid_dollars": dollars(market.best("yes")),
        "yes_ask_dollars": dollars(100 - no_best),
        "yes_bid_size_fp": contracts(market.bids["yes"].get(market.best("yes"), 0)),
        "yes_ask_size_fp": contracts(market.bids["no"].get(no_best, 0)),
        "volume_fp": contracts(market.volume),
    }


def levels_of(market: Market) -> dict[str, list[list[str]]]:
    """Resting bids by side, the lowest first."""
    return {
        side: [[dollars(price), contracts(size)] for price, size in sorted(levels.items())]
        for side, levels in market.bids.items()
    }


def dollars(cents: int) -> str:
    """`0.4200` for 42."""
    return f"{cents // 100}.{cents % 100:02d}00"


def contracts(hundredths: int) -> str:
    """`1.50` for 150."""
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
