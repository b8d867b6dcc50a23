"""A MADE-UP but protocol-true recording with books, for tests: three weather markets that never existed. Pure.

No set of real weather books may be copied into the project, so this stands in. Frames have the shape of after
2026-04-15; every sid counts its own `seq` without a hole; deltas never take a level below zero and best bids never
cross; a trade comes with the delta that it takes out of the book, at the same `ts_ms`; a `ticker` repeats what book and
trades say. The same seed gives the same bytes.
"""

import random
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

SERIES = "KXHIGHMADEUP"
EVENT = f"{SERIES}-26JUN01"
STRIKES = ("T70", "B70.5", "T71")
START_MS = 1_780_300_800_000
"""2026-06-01T08:00:00Z."""

CENTS_MAX = 99
_CLOSE_S = START_MS // 1000 + 72_000
_SIDS = {"orderbook_snapshot": 1, "orderbook_delta": 1, "ticker": 2, "trade": 3}
_LIFECYCLE_SID = 4


def made_up_lines(seed: int = 1, frames: int = 2_000, series: str = SERIES) -> list[bytes]:
    """`frames` NDJSON lines (at least 50) `{"recv_ms":..,"event":{..}}`: creation, books, trading, settlement."""
    return _World(random.Random(seed), series).run(frames)  # noqa: S311  (made-up markets, not secrets)


@dataclass
class _Market:
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


class _World:
    def __init__(self, rng: random.Random, series: str) -> None:
        self.rng = rng
        self.event = EVENT.replace(SERIES, series)
        self.series = series
        self.now_ms = START_MS
        self.recv_ms = START_MS
        self.seq: Counter[int] = Counter()
        self.lines: list[bytes] = []
        self.markets = [self._market(strike, mid) for strike, mid in zip(STRIKES, (20, 50, 30), strict=True)]

    def run(self, frames: int) -> list[bytes]:
        """Fill `lines` with a whole life."""
        for market in self.markets:
            self._lifecycle(market, "created", open_ts=START_MS // 1000, close_ts=_CLOSE_S, exchange_index=0)
            self._lifecycle(market, "activated")
        for market in self.markets:
            self._snapshot(market)
        settling = 2 * len(self.markets)
        while len(self.lines) < frames - settling - 1:  # a trade writes two lines
            self.now_ms += self.rng.choice((0, 1, 7, 40, 300, 2_500, 12_000))
            self._something(self.rng.choice(self.markets))
        while len(self.lines) < frames - settling:
            self._ticker(self.markets[0])
        self.now_ms = _CLOSE_S * 1000 + 60_000
        for market, result in zip(self.markets, ("no", "yes", "no"), strict=True):
            value = "1.0000" if result == "yes" else "0.0000"
            stamp = self.now_ms // 1000
            self._lifecycle(market, "determined", determination_ts=stamp, result=result, settlement_value=value)
        self.now_ms += 3_600_000
        for market in self.markets:
            self._lifecycle(market, "settled", settled_ts=self.now_ms // 1000)
        return self.lines

    def _market(self, strike: str, middle: int) -> _Market:
        sides = {}
        for side, top in (("yes", middle - 2), ("no", 100 - middle - 2)):
            prices = range(max(1, top - 9), top + 1)
            sides[side] = {price: self.rng.randrange(100, 50_000) for price in prices}
        market_id = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        return _Market(f"{self.event}-{strike}", market_id, sides, last=middle)

    def _something(self, market: _Market) -> None:
        kind = self.rng.random()
        if kind < 0.12:  # noqa: PLR2004  (shares of the traffic, about those of a busy market)
            self._trade(market)
        elif kind < 0.25:  # noqa: PLR2004
            self._ticker(market)
        else:
            self._quote(market)

    def _quote(self, market: _Market) -> None:
        """Someone places or withdraws a bid, some levels below the other side's best."""
        side, other = self.rng.sample(("yes", "no"), 2)
        price_max = CENTS_MAX - market.best(other)
        price = max(1, price_max - self.rng.randrange(12))
        resting = market.bids[side].get(price, 0)
        withdraw = resting > 0 and self.rng.random() < 0.5  # noqa: PLR2004
        size = -self.rng.choice((resting, self.rng.randint(1, resting))) if withdraw else self.rng.randint(1, 30_000)
        self._delta(market, side, price, size)

    def _trade(self, market: _Market) -> None:
        """A taker buys one outcome out of the other side's best bid."""
        outcome, resting_side = self.rng.sample(("yes", "no"), 2)
        price = market.best(resting_side)
        if not price:
            self._quote(market)
            return
        resting = market.bids[resting_side][price]
        size = self.rng.choice((resting, self.rng.randint(1, resting)))
        yes = price if resting_side == "yes" else 100 - price
        market.last, market.last_size = yes, size
        market.volume += size
        self._delta(market, resting_side, price, -size)
        self._data(
            "trade",
            {
                "trade_id": str(uuid.UUID(int=self.rng.getrandbits(128), version=4)),
                "market_ticker": market.ticker,
                "yes_price_dollars": _dollars(yes),
                "no_price_dollars": _dollars(100 - yes),
                "count_fp": _size(size),
                "taker_side": outcome,
                "taker_outcome_side": outcome,
                "taker_book_side": "bid" if outcome == "yes" else "ask",
                "is_block_trade": False,
                "ts": self.now_ms // 1000,
                "ts_ms": self.now_ms,
            },
        )

    def _delta(self, market: _Market, side: str, price: int, size: int) -> None:
        levels = market.bids[side]
        levels[price] = levels.get(price, 0) + size
        if not levels[price]:
            del levels[price]
        self._data(
            "orderbook_delta",
            {
                "market_ticker": market.ticker,
                "market_id": market.market_id,
                "price_dollars": _dollars(price),
                "delta_fp": _size(size),
                "side": side,
                "ts": self._time(),
                "ts_ms": self.now_ms,
            },
        )

    def _snapshot(self, market: _Market) -> None:
        msg: dict[str, object] = {"market_ticker": market.ticker, "market_id": market.market_id}
        for side, levels in market.bids.items():
            msg[f"{side}_dollars_fp"] = [[_dollars(price), _size(size)] for price, size in sorted(levels.items())]
        self._data("orderbook_snapshot", msg)

    def _ticker(self, market: _Market) -> None:
        no_best = market.best("no")
        self._data(
            "ticker",
            {
                "market_id": market.market_id,
                "market_ticker": market.ticker,
                "price_dollars": _dollars(market.last),
                "yes_bid_dollars": _dollars(market.best("yes")),
                "yes_ask_dollars": _dollars(100 - no_best),
                "volume_fp": _size(market.volume),
                "open_interest_fp": _size(market.volume),
                "dollar_volume": market.volume // 200,
                "dollar_open_interest": market.volume // 200,
                "yes_bid_size_fp": _size(market.bids["yes"].get(market.best("yes"), 0)),
                "yes_ask_size_fp": _size(market.bids["no"].get(no_best, 0)),
                "last_trade_size_fp": _size(market.last_size),
                "ts": self.now_ms // 1000,
                "ts_ms": self.now_ms,
                "time": self._time(),
            },
        )

    def _lifecycle(self, market: _Market, event_type: str, **more: object) -> None:
        msg = {"market_ticker": market.ticker, **more, "event_type": event_type}
        if event_type == "created":
            msg["additional_metadata"] = {
                "name": "made up",
                "title": "A market that never existed",
                "event_ticker": self.event,
            }
        self._write("market_lifecycle_v2", _LIFECYCLE_SID, msg, numbered=True)

    def _data(self, kind: str, msg: dict[str, object]) -> None:
        self._write(kind, _SIDS[kind], msg, numbered=kind != "ticker")

    def _write(self, kind: str, sid: int, msg: dict[str, object], *, numbered: bool) -> None:
        frame: dict[str, object] = {"type": kind, "sid": sid}
        if numbered:
            self.seq[sid] += 1
            frame["seq"] = self.seq[sid]
        self.recv_ms = max(self.recv_ms, self.now_ms + self.rng.randint(3, 40))
        self.lines.append(msgspec.json.encode({"recv_ms": self.recv_ms, "event": frame | {"msg": msg}}))

    def _time(self) -> str:
        moment = datetime.fromtimestamp(self.now_ms // 1000, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{self.now_ms % 1000:03d}Z"


def _dollars(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}00"


def _size(hundredths: int) -> str:
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"
