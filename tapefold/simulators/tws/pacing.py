"""Interactive Brokers' own rules for requests of history, as TWS applies them. Pure.

Source: "TWS API: Historical Data Limitations" (read 2026-11): for bars of 30 s and less no identical request within 15 s,
fewer than six for the same contract, exchange and kind within 2 s, and 60 within 10 minutes, of which BID_ASK counts
twice; 50 open at once for all bars.
"""

from collections import deque
from collections.abc import Hashable

OPEN_MAX = 50
_WINDOW_S, _IN_WINDOW_MAX = 600.0, 60
_SAME_S, _SAME_MAX = 2.0, 5
_IDENTICAL_S = 15.0


class Rules:
    """Told of each request in turn, says whether it breaks a rule. `strict`: bars of any size must keep to them."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self._asked: deque[tuple[float, Hashable, Hashable, int]] = deque()

    def breaks(self, now_s: float, identical: Hashable, same: Hashable, *, small: bool, double: bool) -> bool:
        """Whether this request, made now, is one too many. A refused one counts as well."""
        if not (small or self.strict):
            return False
        while self._asked and now_s - self._asked[0][0] >= _WINDOW_S:
            self._asked.popleft()
        weight = 2 if double else 1
        recent = [entry for entry in self._asked if now_s - entry[0] < _SAME_S and entry[2] == same]
        broken = (
            sum(entry[3] for entry in self._asked) + weight > _IN_WINDOW_MAX
            or len(recent) >= _SAME_MAX
            or any(now_s - entry[0] < _IDENTICAL_S and entry[1] == identical for entry in self._asked)
        )
        self._asked.append((now_s, identical, same, weight))
        return broken
