"""One-minute candles of a made-up market, as REST tells them. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from tapefold.simulators.kalshi.trading import Market, contracts, dollars

_MS_PER_MINUTE = 60_000


@dataclass
class _Minute:
    """Cents of the trades and of both best prices, in their order; hundredths of contracts."""

    trades: list[int] = field(default_factory=list)
    bids: list[int] = field(default_factory=list)
    asks: list[int] = field(default_factory=list)
    volume: int = 0
    open_interest: int = 0


class Candles:
    """Told of a market's trades and of its state after each happening. A minute in which nothing happened has none."""

    def __init__(self) -> None:
        self._minutes: dict[int, _Minute] = {}
        self._traded: list[tuple[int, int]] = []

    def traded(self, msg: dict[str, object]) -> None:
        """A trade's message; it counts to the minute that is `seen` next."""
        cents = int(Decimal(str(msg["yes_price_dollars"])) * 100)
        self._traded.append((cents, int(Decimal(str(msg["count_fp"])) * 100)))

    def seen(self, now_ms: int, market: Market) -> None:
        """The market's state."""
        minute = self._minutes.setdefault(now_ms // _MS_PER_MINUTE, _Minute())
        minute.bids.append(market.best("yes"))
        minute.asks.append(100 - market.best("no"))
        minute.trades += [cents for cents, _ in self._traded]
        minute.volume += sum(size for _, size in self._traded)
        minute.open_interest = market.volume
        self._traded.clear()

    def closed(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Each candle with its end, in Unix seconds."""
        previous: int | None = None
        for number, minute in sorted(self._minutes.items()):
            end_s = (number + 1) * 60
            price = _range(minute.trades)
            if minute.trades:
                price["mean_dollars"] = dollars(sum(minute.trades) // len(minute.trades))
            if previous is not None:
                price["previous_dollars"] = dollars(previous)
            previous = minute.trades[-1] if minute.trades else previous
            yield (
                end_s,
                {
                    "end_period_ts": end_s,
                    "price": price,
                    "yes_bid": _range(minute.bids),
                    "yes_ask": _range(minute.asks),
                    "volume_fp": contracts(minute.volume),
                    "open_interest_fp": contracts(minute.open_interest),
                },
            )


def _range(cents: list[int]) -> dict[str, str | None]:
    if not cents:
        return dict.fromkeys(("open_dollars", "high_dollars", "low_dollars", "close_dollars"))
    told = {"open": cents[0], "high": max(cents), "low": min(cents), "close": cents[-1]}
    return {f"{name}_dollars": dollars(value) for name, value in told.items()}
