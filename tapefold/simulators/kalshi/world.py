"""A MADE-UP but protocol-true recording with books, for tests: three weather markets that never existed. Pure.

No set of real weather books may be copied into the project, so this stands in. Every sid counts its own `seq` without a
hole; how the markets trade is `trading`'s. The same seed gives the same bytes. A whole world, with weather, REST and
outcomes, is `made_up`'s.
"""

import random
from collections import Counter

import msgspec

from tapefold.simulators.kalshi.trading import Market, Trader, open_market

SERIES = "KXHIGHMADEUP"
EVENT = f"{SERIES}-26JUN01"
STRIKES = ("T70", "B70.5", "T71")
START_MS = 1_780_300_800_000
"""2026-06-01T08:00:00Z."""

_CLOSE_S = START_MS // 1000 + 72_000
_SIDS = {
    "orderbook_snapshot": 1,
    "orderbook_delta": 1,
    "ticker": 2,
    "trade": 3,
    "market_lifecycle_v2": 4,
    "event_lifecycle": 4,
}


class Frames:
    """Messages as lines of a recording `{"recv_ms":..,"event":{..}}`: numbered per sid, received a little later."""

    def __init__(self, rng: random.Random) -> None:
        self.lines: list[bytes] = []
        self._rng = rng
        self._recv_ms = 0
        self._seq: Counter[int] = Counter()

    def put(self, at_ms: int, kind: str, msg: dict[str, object]) -> None:
        """One frame more."""
        sid = _SIDS[kind]
        frame: dict[str, object] = {"type": kind, "sid": sid}
        if kind != "ticker":
            self._seq[sid] += 1
            frame["seq"] = self._seq[sid]
        self._recv_ms = max(self._recv_ms, at_ms + self._rng.randint(3, 40))
        self.lines.append(msgspec.json.encode({"recv_ms": self._recv_ms, "event": frame | {"msg": msg}}))


def made_up_lines(seed: int = 1, frames: int = 2_000, series: str = SERIES) -> list[bytes]:
    """`frames` NDJSON lines (at least 50) `{"recv_ms":..,"event":{..}}`: creation, books, trading, settlement."""
    return _World(random.Random(seed), series).run(frames)  # noqa: S311  (made-up markets, not secrets)


class _World:
    def __init__(self, rng: random.Random, series: str) -> None:
        self._rng = rng
        self._event = EVENT.replace(SERIES, series)
        self._frames = Frames(rng)
        self._trader = Trader(rng, lambda kind, msg: self._frames.put(self._trader.now_ms, kind, msg))
        self._trader.now_ms = START_MS
        self._markets = [
            open_market(rng, f"{self._event}-{strike}", mid) for strike, mid in zip(STRIKES, (20, 50, 30), strict=True)
        ]

    def run(self, frames: int) -> list[bytes]:
        """All lines of a whole life."""
        lines, trader = self._frames.lines, self._trader
        for market in self._markets:
            self._lifecycle(market, "created", open_ts=START_MS // 1000, close_ts=_CLOSE_S, exchange_index=0)
            self._lifecycle(market, "activated")
        for market in self._markets:
            trader.snapshot(market)
        settling = 2 * len(self._markets)
        while len(lines) < frames - settling - 1:  # a trade writes two lines
            trader.now_ms += self._rng.choice((0, 1, 7, 40, 300, 2_500, 12_000))
            trader.something(self._rng.choice(self._markets))
        while len(lines) < frames - settling:
            trader.ticker(self._markets[0])
        trader.now_ms = _CLOSE_S * 1000 + 60_000
        for market, result in zip(self._markets, ("no", "yes", "no"), strict=True):
            value = "1.0000" if result == "yes" else "0.0000"
            stamp = trader.now_ms // 1000
            self._lifecycle(market, "determined", determination_ts=stamp, result=result, settlement_value=value)
        trader.now_ms += 3_600_000
        for market in self._markets:
            self._lifecycle(market, "settled", settled_ts=trader.now_ms // 1000)
        return lines

    def _lifecycle(self, market: Market, event_type: str, **more: object) -> None:
        msg = {"market_ticker": market.ticker, **more, "event_type": event_type}
        if event_type == "created":
            msg["additional_metadata"] = {
                "name": "made up",
                "title": "A market that never existed",
                "event_ticker": self._event,
            }
        self._frames.put(self._trader.now_ms, "market_lifecycle_v2", msg)
