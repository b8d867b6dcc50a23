"""How fast to ask. Pure: the time is an argument, in seconds of a steady clock.

Source: Kalshi's rate limits since 2026-09-24, as read 2026-09-25: a bucket of tokens per account, most calls cost 10; 429
comes without Retry-After and without a penalty. Unsigned calls draw on no bucket; their limit is not documented, and
one author saw 429 above one a second.
"""

from typing import Literal, NamedTuple

from topics.errors import SettingsError

Tier = Literal["unsigned", "basic", "advanced", "expert", "premier", "paragon", "prime", "prestige"]
Lane = Literal["live", "backfill"]
Caller = Literal["rest", "ws"]

COST = 10.0
TOKENS_PER_S: dict[Tier, float] = {
    "unsigned": 10.0, "basic": 200.0, "advanced": 300.0, "expert": 600.0, "premier": 1_200.0, "paragon": 2_400.0,
    "prime": 4_800.0, "prestige": 12_000.0,
}  # fmt: skip
PARTS: dict[Caller, float] = {"rest": 0.85, "ws": 0.1}  # of the account's rate; `run ws` lists what it subscribes to
SHARE = 0.8  # of the part: the same account may trade
BURST = 0.2  # of a second's tokens may be drawn at once: with `SHARE` no second ever sees more than the tier's rate
RESERVE = 0.5  # of the bucket: backfill leaves it to the live loops, and they wait for nobody


class Rule(NamedTuple):
    """A bucket holds `full` tokens and takes `per_s` a second."""

    full: float
    per_s: float

    @property
    def calls_max(self) -> int:
        """Calls in the busiest second: a full bucket, and what comes meanwhile."""
        return int((self.full + self.per_s) / COST)


def rule_of(tier: Tier, caller: Caller, shards: int) -> Rule:
    """The bucket of one process. shards: how many `run ws` there are; each has a bucket of its own, beside `run rest`.

    A bucket holds a call at least, and nobody knows when the others ask: so all shards may ask in one second, and the
    recorder of REST leaves them room. Raises SettingsError where too little is left.
    """
    tokens = TOKENS_PER_S[tier]
    share = tokens * PARTS["ws"] / shards
    socket = Rule(max(share * BURST, COST), share * SHARE)
    part = tokens * PARTS["rest"]
    if tier != "unsigned":  # those are of an address, and no shard goes without a signature
        # One more is kept back: an answer that lingers moves the next call into a second that was counted without it.
        part = min(part, tokens - (shards * socket.calls_max + 1) * COST)
        if part <= 2 * COST:
            raise SettingsError(
                f"WS_SHARD_COUNT: expected so few shards that REST keeps {2 * COST:.0f} of the {tokens:.0f} tokens a second "
                f"of REST_TIER={tier}, was {shards}"
            )
    if caller == "ws":
        return socket
    full = max(part * BURST, 2 * COST)  # backfill leaves a call to the live loops, and needs one itself
    return Rule(full, part * SHARE if tier == "unsigned" else min(part * SHARE, part - full))


class Budget:
    """A bucket that refills. Backfill draws only on what stands above the reserve, so that it never starves live.

    caller: whose part of the account's rate; only `rest` has a backfill. shards: processes of `run ws` on the account.
    Raises SettingsError for more shards than the tier has calls for.
    """

    def __init__(self, tier: Tier, now_s: float, *, caller: Caller = "rest", shards: int = 1) -> None:
        self._full, self._rate = rule_of(tier, caller, shards)
        self._tokens = self._full
        self._at_s = now_s

    def draw(self, lane: Lane, now_s: float) -> float:
        """Take one call's tokens and return 0, or take nothing and return the seconds after which to ask again."""
        self._tokens = min(self._full, self._tokens + max(0.0, now_s - self._at_s) * self._rate)
        self._at_s = now_s
        needed = COST + (self._full * RESERVE if lane == "backfill" else 0.0)
        if self._tokens >= needed:
            self._tokens -= COST
            return 0.0
        return (needed - self._tokens) / self._rate
