"""A rate and its bursts. Pure: the time is an argument."""

import math


class TokenBucket:
    """`rate` events a second on average, up to `burst` at once. Times are any clock's, in seconds."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._seen_s = -math.inf

    def take(self, now_s: float) -> float:
        """Take one token; returns 0.0, or how many seconds to wait where there is none."""
        if now_s > self._seen_s:
            self._tokens = min(self._burst, self._tokens + (now_s - self._seen_s) * self._rate)
            self._seen_s = now_s
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate
