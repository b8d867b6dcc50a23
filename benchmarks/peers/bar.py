"""One bar for every peer: the same rules as ours without the bookkeeping of duplicates and revisions.

Plain lists, the cheapest thing that all three frameworks can store:
[open_ms, open_id, open, high, low, close_ms, close_id, close, volume, trades]. Open and close go by (ms, trade id), as
ours do, or the peers would not agree with us where trades come out of order.
"""

import json
import time

NS_PER_MS = 1_000_000
NS_PER_MINUTE = 60_000_000_000
_OPEN_MS, _OPEN_ID, _OPEN, _HIGH, _LOW, _CLOSE_MS, _CLOSE_ID, _CLOSE, _VOLUME, _TRADES = range(10)

Bar = list  # see above


def key_of(trade: dict) -> str:
    """The bar that a trade belongs to."""
    return f"{trade['market_ticker']}/{trade['event_ns'] // NS_PER_MINUTE}"


class Sums:
    """The clock and the checksum of one contestant, kept from the changes that its own state shows.

    The clock starts with the first record and stops with the last: `records` of them, beats included.
    """

    def __init__(self, records: int) -> None:
        self._left = records
        self._started_s = 0.0
        self._ended_s = 0.0
        self._bars = self._trades = self._volume_e4 = self._close_e6 = 0

    def count(self) -> bool:
        """Count one record, before or after it is folded; True when it was the last."""
        if not self._started_s:
            self._started_s = time.perf_counter()
        self._left -= 1
        if not self._left:
            self._ended_s = time.perf_counter()
            return True
        return False

    def fold(self, bar: Bar | None, trade: dict) -> Bar:
        """`bar` (None: its first trade) with one more trade in it, changed in place."""
        ms, trade_id, price = trade["event_ns"] // NS_PER_MS, trade["trade_id"], trade["yes_price_e6"]
        size = trade["size_e4"]
        self._trades += 1
        self._volume_e4 += size
        if bar is None:
            self._bars += 1
            self._close_e6 += price
            return [ms, trade_id, price, price, price, ms, trade_id, price, size, 1]
        if (ms, trade_id) > (bar[_CLOSE_MS], bar[_CLOSE_ID]):
            self._close_e6 += price - bar[_CLOSE]
            bar[_CLOSE_MS], bar[_CLOSE_ID], bar[_CLOSE] = ms, trade_id, price
        elif (ms, trade_id) < (bar[_OPEN_MS], bar[_OPEN_ID]):
            bar[_OPEN_MS], bar[_OPEN_ID], bar[_OPEN] = ms, trade_id, price
        if price > bar[_HIGH]:
            bar[_HIGH] = price
        elif price < bar[_LOW]:
            bar[_LOW] = price
        bar[_VOLUME] += size
        bar[_TRADES] += 1
        return bar

    def result_line(self) -> str:
        """What the driver waits for."""
        checksum = [self._bars, self._trades, self._volume_e4, self._close_e6]
        return "RESULT " + json.dumps({"seconds": self._ended_s - self._started_s, "checksum": checksum})
