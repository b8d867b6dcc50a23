"""Who was listened to, and since when: beats of the receiver, and intervals of coverage per sender.

They go by way of the storer, like the records, so that a broker that is away stops neither the receiver nor its word: an
interval ends where the log was lost, and that is told once it is back. A beat says that all which was received before
its clock stands on the log: requests on their way hold that clock back.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from producers.beat import Beater
from producers.coverage import Covers
from producers.publish import Outgoing, Publisher
from topics.catalog import RAW_WEBHOOK
from topics.errors import Unavailable, Undelivered
from topics.events import BeatNotice
from topics.storer import Entry, OnStored, Place
from topics.units import NS_PER_S

SOURCE = "webhook"
BEAT_NS = 10 * NS_PER_S  # a restart reads what came since the last event on: of a quiet sender, beats alone
LEASE_NS = 30 * NS_PER_S
UNTOLD_MAX = 10_000  # notices that wait for the log: each outage leaves two of each sender


class OnEvent(Protocol):
    """Told of what operators should read, with fields."""

    def __call__(self, event: str, **fields: object) -> None:
        """One line."""


class Attendance:
    """One receiver's. store: queues one entry, as `Storer.store`. settled_ns: before it, all that came is on the log."""

    def __init__(
        self,
        store: Callable[[Entry, OnStored], None],
        *,
        conn: str,
        settled_ns: Callable[[], int],
        now_ns: Callable[[], int],
        on_event: OnEvent,
    ) -> None:
        self._store = store
        self._conn = conn
        self._settled_ns = settled_ns
        self._now_ns = now_ns
        self._on_event = on_event
        self._beater = Beater(SOURCE, conn, interval_ns=BEAT_NS, lease_ns=LEASE_NS)
        self._covers = Covers(SOURCE, conn, "webhook")
        self._untold: deque[Outgoing] = deque()
        self._unconfirmed_ns: deque[int] = deque()  # when the beats were said whose fate is not known
        self._publisher: Publisher | None = None
        self._putting: Outgoing | None = None

    def begin(self, partitions: int) -> None:
        """The log is there. partitions: of `raw.webhook`, each gets every beat."""
        if self._publisher is None:
            self._publisher = Publisher(
                self, topic=RAW_WEBHOOK, partitions=partitions, source=SOURCE, conn=self._conn, clock="wall"
            )

    def look(self, senders: Iterable[str], *, accepting: bool, turned_away_ns: int | None = None) -> None:
        """Say what has changed: senders come and go, and without the log nobody is heard.

        accepting: whether a request would be stored now. Where none comes that would show it, our own beats do.
        turned_away_ns: when the first request came that was answered with 503 since the last look.
        """
        now_ns, settled_ns = self._now_ns(), self._settled_ns()
        waits = bool(self._unconfirmed_ns) and now_ns - self._unconfirmed_ns[0] > LEASE_NS
        if turned_away_ns is not None:
            self._tell_later(self._covers.end_all(min(turned_away_ns, settled_ns), now_ns, ended_by="gap"))
        if not accepting or waits:
            self._tell_later(self._covers.end_all(settled_ns, now_ns, ended_by="gap"))
            return
        heard = frozenset(senders)
        for name in sorted(self._covers.subjects - heard):
            self._tell_later(self._covers.end(name, now_ns, now_ns, ended_by="stop"))
        for name in sorted(heard):
            self._tell_later(self._covers.begin(name, now_ns))
        self._tell()
        if now_ns >= self._beater.due_ns:
            beat = self._beater.beat(settled_ns, None)
            self._beater.due_ns = now_ns + BEAT_NS
            self._put(Outgoing(beat, None, now_ns))

    def leave(self, *, accepting: bool) -> None:
        """A clean end: all intervals close, and the connection says good-bye."""
        now_ns, settled_ns = self._now_ns(), self._settled_ns()
        self._tell_later(self._covers.end_all(settled_ns, now_ns, ended_by="stop" if accepting else "gap"))
        self._tell()
        self._put(Outgoing(self._beater.bye(settled_ns, None), None, now_ns))

    def _tell_later(self, outs: Iterable[Outgoing]) -> None:
        self._untold.extend(outs)
        while len(self._untold) > UNTOLD_MAX:
            self._on_event(
                "an interval of coverage is not told; beats alone prove it", lost=str(self._untold.popleft())
            )

    def _tell(self) -> None:
        """What waits, in its order; what the log does not take waits on."""
        for _ in range(len(self._untold)):
            self._put(self._untold.popleft())

    def _put(self, out: Outgoing) -> None:
        if self._publisher is not None:  # else the log was never there: nobody was heard, and there is nothing to say
            self._putting = out
            self._publisher.put(out)

    # --- what the publisher appends to ---------------------------------------------------------------------------------

    def append(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int = 0,
    ) -> None:
        """Queue one notice. A beat that is lost is not told again: the next one says as much, and more."""
        out = self._putting
        assert out is not None, "put comes first"

        is_beat = isinstance(out.value, BeatNotice)

        def on_stored(fate: Place | Undelivered) -> None:
            if is_beat:
                self._unconfirmed_ns.popleft()
            elif isinstance(fate, Undelivered):
                self._tell_later([out])

        if is_beat:
            self._unconfirmed_ns.append(out.received_ns)
        try:
            self._store(Entry(topic, value, key, headers, timestamp_ms, partition), on_stored)
        except Unavailable as error:
            on_stored(Undelivered(1, str(error)))

    def pending(self) -> int:
        """The storer's own."""
        return 0

    def poll(self) -> None:
        """The receiver serves the storer's callbacks."""
