"""The governor: when the next request for history may be made. Pure, and its memory survives a restart.

Interactive Brokers counts requests on its side: a client that forgets what it asked before it crashed runs straight into
a violation. Rules of "TWS API: Historical Data Limitations" (read 2026-11): no identical request within 15 s, fewer than
six for one contract, exchange and kind within 2 s, 60 within 10 minutes of which BID_ASK counts twice. They are law for
bars of 30 s and less; TWS throttles larger ones softly, and we keep to them for all.
"""

import msgspec
from msgspec import Struct

from topics.tws import TwsRequest
from topics.units import NS_PER_S

IDENTICAL_NS = 15 * NS_PER_S
SAME_NS = 2 * NS_PER_S
SAME_MAX = 5
_ENTRIES_MAX = 100_000  # of a window that a user makes absurdly long


class Limits(Struct, frozen=True):
    """requests: within the window, BID_ASK counts twice. identical_ns: between two requests that are the same."""

    window_ns: int
    requests: int
    identical_ns: int = IDENTICAL_NS


class Entry(Struct, array_like=True):
    """One request that was made. same: contract, exchange and kind; identical: all of it."""

    at_ns: int
    same: str
    identical: str
    weight: int


class Memory(Struct):
    """What the governor knows. until_ns: after a violation nothing is asked before it."""

    entries: list[Entry] = []
    until_ns: int = 0


class Governor:
    """Asks before each request: `wait_ns`, then `made`."""

    def __init__(self, limits: Limits, memory: Memory | None = None) -> None:
        self.limits = limits
        self.memory = memory or Memory()

    def wait_ns(self, request: TwsRequest, now_ns: int) -> int:
        """How long to wait before this request may be made; 0: now. Ask again after that time."""
        self._forget(now_ns)
        entries, mine = self.memory.entries, _entry(request, now_ns)
        due_ns = self.memory.until_ns
        due_ns = max([due_ns, *(e.at_ns + self.limits.identical_ns for e in entries if e.identical == mine.identical)])
        same = [e.at_ns for e in entries if e.same == mine.same]
        if len(same) >= SAME_MAX:
            due_ns = max(due_ns, same[-SAME_MAX] + SAME_NS)
        over = sum(e.weight for e in entries) + mine.weight - self.limits.requests
        for entry in entries:  # the oldest go first
            if over <= 0:
                break
            over -= entry.weight
            due_ns = max(due_ns, entry.at_ns + self.limits.window_ns)
        return max(0, due_ns - now_ns)

    def made(self, request: TwsRequest, now_ns: int) -> None:
        """A request is made now; it counts, whatever becomes of it."""
        self.memory.entries.append(_entry(request, now_ns))

    def violated(self, now_ns: int) -> None:
        """TWS says that we asked too fast: a whole window passes before the next request."""
        self.memory.until_ns = max(self.memory.until_ns, now_ns + self.limits.window_ns)

    def _forget(self, now_ns: int) -> None:
        horizon_ns = now_ns - max(self.limits.window_ns, self.limits.identical_ns)
        entries = self.memory.entries
        # A clock that was put back must not stop us for ever: what lies ahead of now is forgotten as well.
        self.memory.entries = [e for e in entries[-_ENTRIES_MAX:] if horizon_ns < e.at_ns <= now_ns]
        self.memory.until_ns = min(self.memory.until_ns, now_ns + self.limits.window_ns)


def _entry(request: TwsRequest, now_ns: int) -> Entry:
    same = f"{request.con_id or request.symbol}/{request.exchange}/{request.what_to_show}"
    identical = msgspec.json.encode(request).decode()
    return Entry(now_ns, same, identical, 2 if request.what_to_show == "BID_ASK" else 1)
