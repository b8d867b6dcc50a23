"""When to try again: full jitter, then a cooldown; and when not to ask at all. Pure: chance and time are arguments.

Full jitter after Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): a uniform share of the whole
exponential delay, so that a thousand clients of one restarted server do not come back together.
"""

BASE_S = 0.5
CAP_S = 30.0
STABLE_S = 60.0
_DOUBLINGS_MAX = 16  # past it the cap rules anyway, and the power stays small


class Backoff:
    """Counts consecutive failures of one endpoint.

    base_s, cap_s: the first and the greatest delay before jitter.
    stable_s: a connection that lived this long ends the run of failures.
    threshold: from this many consecutive failures on, each wait is `cooldown_s`; 0 means never.
    """

    def __init__(
        self,
        *,
        base_s: float = BASE_S,
        cap_s: float = CAP_S,
        stable_s: float = STABLE_S,
        threshold: int = 0,
        cooldown_s: float = 0.0,
    ) -> None:
        self.failures = 0
        self._base_s = base_s
        self._cap_s = cap_s
        self._stable_s = stable_s
        self._threshold = threshold
        self._cooldown_s = cooldown_s

    def failed(self, lived_s: float, chance: float) -> float:
        """Count a failure after `lived_s` of connection; returns the seconds to wait. chance: uniform in [0, 1)."""
        if lived_s >= self._stable_s:
            self.failures = 0
        self.failures += 1
        if self._threshold and self.failures >= self._threshold:
            return self._cooldown_s
        return chance * min(self._cap_s, self._base_s * 2.0 ** min(self.failures - 1, _DOUBLINGS_MAX))


class Breaker:
    """Opens after `threshold` failures in a row (0: never) for `open_s`; then one call may try, and decides.

    opened: how often it has opened.
    """

    def __init__(self, threshold: int, open_s: float) -> None:
        self.failures = 0
        self.opened = 0
        self._threshold = threshold
        self._open_s = open_s
        self._until_s: float | None = None

    def wait_s(self, now_s: float) -> float:
        """Seconds until a call may try; 0 when it may now."""
        return 0.0 if self._until_s is None else max(0.0, self._until_s - now_s)

    def succeeded(self) -> None:
        """A call came through: closed."""
        self.failures = 0
        self._until_s = None

    def failed(self, now_s: float) -> bool:
        """Count a failure; returns whether that opened it (again)."""
        self.failures += 1
        if not self._threshold or self.failures < self._threshold:
            return False
        self.opened += 1
        self._until_s = now_s + self._open_s
        return True
