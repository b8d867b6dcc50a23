"""What happens to a request that has come whole: verified, told apart from its repeats, stored, answered.

No answer begins with 2 before the log has the record. A repeat that comes while the first is still on its way waits
for it. When the log does not confirm in time the answer is 503, but the record may still arrive: so long as its fate is
open its repeats wait for it, and if the fate stays unknown nothing is accepted until the log was read again.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import Struct

from producers.webhook.attendance import SOURCE, OnEvent
from producers.webhook.content import Content, content_of, id_of_content
from producers.webhook.counts import Counts, Outcome
from producers.webhook.limits import TokenBucket
from producers.webhook.markers import Marker, Markers
from producers.webhook.providers import Provider, Providers
from producers.webhook.schemes import Headers, Rejected, Signed, Tolerance, unverified, verify
from topics import catalog
from topics.errors import SettingsError, Unavailable, Undelivered
from topics.storer import Entry, Place, Storer
from topics.units import NS_PER_MS, NS_PER_S
from topics.webhook import (
    H_CONFLICT,
    H_CONTENT,
    H_PROVIDER,
    H_SCHEME,
    H_SIGNATURE,
    H_SIGNED_S,
    H_WEBHOOK_ID,
)

POLL_S = 0.002
LINES_PER_SECOND = 10  # of each outcome: a flood of forgeries must not become a flood of log lines
_RETRY_AFTER_S = 5
_SIGNATURE_HEADERS = (b"webhook-signature", b"svix-signature", b"stripe-signature")
_SIGNATURE_CHARS_MAX = 1_024

_Header = tuple[str, bytes]


class Answer(NamedTuple):
    """An HTTP answer. The text tells a forger nothing."""

    status: int
    text: str
    retry_after_s: int | None = None


STORED = Answer(200, "Event stored")
DUPLICATE = Answer(200, "Event already processed")
KEPT = Answer(202, "Event kept for review")
REJECTED = Answer(400, "Bad request")
UNKNOWN = Answer(404, "Not found")
UNAVAILABLE = Answer(503, "Come again", _RETRY_AFTER_S)


class Policy(Struct, frozen=True, kw_only=True):
    """What is accepted, and how long is waited.

    tolerance: how old, and how far ahead, a signed time may be. horizon_s: how long markers are kept. confirm_s: how
    long an answer waits for the log. rate: requests a second of one provider, with bursts of twice as many.
    verified: False only for local tests. unreadable: the answer to a rightly signed body that is no JSON object.
    """

    tolerance: Tolerance
    horizon_s: int
    confirm_s: float = 5.0
    rate: float = 2_000.0
    verified: bool = True
    unreadable: Answer = KEPT

    def check(self) -> None:
        """Raises SettingsError when a repeat could be accepted after its marker was forgotten."""
        window_s = self.tolerance.age_s + self.tolerance.future_s
        if window_s > self.horizon_s:
            raise SettingsError(
                f"WEBHOOK_DEDUPE_HORIZON_SECONDS: expected at least WEBHOOK_MAX_AGE_SECONDS + "
                f"WEBHOOK_MAX_FUTURE_SECONDS = {window_s}, was {self.horizon_s}: an old signature could be replayed "
                f"after its marker is gone"
            )


class _Event(NamedTuple):
    """One delivery that was verified."""

    provider: Provider
    event_id: str
    content: Content
    received_ns: int
    signed_s: int


class Receiver:
    """One door's requests. conn: names this run of it on each record. now_ns: a clock that never goes back."""

    def __init__(
        self,
        policy: Policy,
        providers: Callable[[], Providers],
        markers: Markers,
        storer: Storer,
        counts: Counts,
        *,
        conn: str,
        now_ns: Callable[[], int],
        on_event: OnEvent,
    ) -> None:
        policy.check()
        self.ready = False  # until the markers are read
        self.lost = asyncio.Event()  # a record's fate is unknown: the log must be read again
        self._policy = policy
        self._providers = providers
        self._markers = markers
        self._storer = storer
        self._counts = counts
        self._conn = conn.encode("ascii")
        self._now_ns = now_ns
        self._on_event = on_event
        self._waiting: dict[tuple[str, str], asyncio.Future[bool]] = {}
        self._since_ns: dict[tuple[str, str], int] = {}
        self._at_work: dict[int, int] = {}  # number of a request -> when it came
        self._requests = 0
        self._turned_away_ns: int | None = None
        self._buckets: dict[str, TokenBucket] = {}
        self._lines: dict[str, TokenBucket] = {}

    def use(self, storer: Storer) -> None:
        """Go on with another storer, once the fate of all records of the last one is told."""
        assert not self._storer.pending()
        self._storer = storer

    def pending(self) -> int:
        """Records whose fate is not told yet."""
        return self._storer.pending()

    def settled_ns(self) -> int:
        """All that was received before this moment has its answer, and stands on the log or never will."""
        now_ns = self._now_ns()
        return min(next(iter(told.values()), now_ns) for told in (self._at_work, self._since_ns))

    def turned_away_ns(self) -> int | None:
        """When the first request since the last call came that was answered with 503; None: there was none."""
        first_ns, self._turned_away_ns = self._turned_away_ns, None
        return first_ns

    @property
    def accepting(self) -> bool:
        """Whether a request that comes now would be stored."""
        return self.ready and not self._stalled(self._now_ns())

    async def receive(self, name: str, headers: Headers, body: bytes) -> Answer:
        """The answer to one request."""
        received_ns = self._now_ns()
        self._requests += 1
        number = self._requests
        self._at_work[number] = received_ns
        try:
            return await self._receive(name, headers, body, received_ns)
        finally:
            del self._at_work[number]

    async def _receive(self, name: str, headers: Headers, body: bytes, received_ns: int) -> Answer:
        provider = self._providers().get(name)
        if provider is None:
            return self._tell("unknown_provider", UNKNOWN, "unknown")
        try:
            signed = self._verified(provider, headers, body, received_ns)
        except Rejected as error:
            if error.skew_s is not None:
                self._counts.skewed(error.skew_s)
            return self._tell(error.why, REJECTED, name, detail=error.detail, skew_s=error.skew_s)
        wait_s = self._bucket(name).take(received_ns / NS_PER_S)
        if wait_s:
            return self._tell("rate_limited", Answer(429, "Too many requests", max(1, round(wait_s))), name)
        content = content_of(provider.scheme, body)
        event_id = signed.event_id or content.event_id or id_of_content(content.digest)
        event = _Event(provider, event_id, content, received_ns, signed.signed_s)
        try:
            answer = await self._deliver(event, headers, body)
        except Unavailable as error:
            self._turned_away_ns = received_ns if self._turned_away_ns is None else self._turned_away_ns
            answer = self._tell("unavailable", UNAVAILABLE, name, webhook_id=event_id, detail=str(error))
        self._counts.answered((self._now_ns() - received_ns) / NS_PER_S)
        return answer

    async def poll(self) -> None:
        """Serve the storer's callbacks for ever."""
        while True:
            self._storer.poll()
            await asyncio.sleep(POLL_S if self._waiting else POLL_S * 5)

    def _verified(self, provider: Provider, headers: Headers, body: bytes, received_ns: int) -> Signed:
        if not self._policy.verified:
            return unverified(provider.scheme, headers, received_ns)
        signed = verify(
            provider.scheme, provider.keys, headers, body, now_ns=received_ns, within=self._policy.tolerance
        )
        self._counts.skewed(received_ns / NS_PER_S - signed.signed_s)
        return signed

    async def _deliver(self, event: _Event, headers: Headers, body: bytes) -> Answer:
        """Raises Unavailable."""
        identity = (event.provider.name, event.event_id)
        deadline_ns = event.received_ns + int(self._policy.confirm_s * NS_PER_S)
        while (first := self._waiting.get(identity)) is not None:
            await self._until(first, deadline_ns)
        if not self.accepting:
            raise Unavailable("the log", "it does not confirm records now")
        known = self._markers.find(*identity)
        if any(marker.content == event.content.digest for marker in known):
            return self._tell("duplicate", DUPLICATE, event.provider.name, webhook_id=event.event_id)
        signature = next((value for name, value in headers if name in _SIGNATURE_HEADERS), b"")
        marks = self._marks(event, signature[:_SIGNATURE_CHARS_MAX], known[0] if known else None)
        await self._until(self._store(event, body, marks), deadline_ns)
        if known:
            return self._tell("conflict", KEPT, event.provider.name, webhook_id=event.event_id)
        if not event.content.readable:
            return self._tell("unreadable", self._policy.unreadable, event.provider.name, webhook_id=event.event_id)
        self._counts.count("stored", event.provider.name)
        return STORED

    def _store(self, event: _Event, body: bytes, marks: Sequence[_Header]) -> asyncio.Future[bool]:
        identity = (event.provider.name, event.event_id)
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def on_stored(fate: Place | Undelivered) -> None:
            del self._waiting[identity], self._since_ns[identity]
            if isinstance(fate, Undelivered):
                self._on_event("a record's fate is unknown; the log is read again", detail=str(fate))
                self.ready = False
                self.lost.set()
            else:
                self._markers.add(Marker(*identity, event.content.digest, event.received_ns, *fate))
            stored.set_result(isinstance(fate, Place))

        key = "/".join(identity).encode()
        entry = Entry(catalog.RAW_WEBHOOK, body, key, marks, event.received_ns // NS_PER_MS)
        self._storer.store(entry, on_stored)
        self._waiting[identity] = stored
        self._since_ns[identity] = event.received_ns
        return stored

    def _marks(self, event: _Event, signature: bytes, first: Marker | None) -> list[_Header]:
        marks = [
            (catalog.H_SOURCE, SOURCE.encode()),
            (catalog.H_KIND, b"frame"),
            (catalog.H_RECEIVED_NS, b"%d" % event.received_ns),
            (catalog.H_CLOCK, b"wall"),
            (catalog.H_CONN, self._conn),
            *catalog.SCHEMA_HEADER,
            (H_PROVIDER, event.provider.name.encode()),
            (H_SCHEME, event.provider.scheme.encode()),
            (H_WEBHOOK_ID, event.event_id.encode()),
            (H_CONTENT, event.content.digest.hex().encode()),
        ]
        if self._policy.verified:
            marks += [(H_SIGNED_S, b"%d" % event.signed_s), (H_SIGNATURE, signature)]
        if first is not None:
            marks.append((H_CONFLICT, b"%d/%d" % (first.partition, first.offset)))
        return marks

    async def _until(self, stored: asyncio.Future[bool], deadline_ns: int) -> None:
        """Wait until the record is stored; the future outlives who waits for it. Raises Unavailable."""
        left_s = (deadline_ns - self._now_ns()) / NS_PER_S
        if left_s > 0 and not stored.done():
            await asyncio.wait([stored], timeout=left_s)
        if not (stored.done() and stored.result()):
            raise Unavailable("the log", f"no confirmation within {self._policy.confirm_s} s")

    def _stalled(self, now_ns: int) -> bool:
        """Whether the log has not answered for as long as one may wait: then a new record would wait in vain."""
        oldest_ns = next(iter(self._since_ns.values()), now_ns)
        return now_ns - oldest_ns > self._policy.confirm_s * NS_PER_S

    def _bucket(self, name: str) -> TokenBucket:
        if name not in self._buckets:
            self._buckets[name] = TokenBucket(self._policy.rate, 2 * self._policy.rate)
        return self._buckets[name]

    def _tell(self, outcome: Outcome, answer: Answer, provider: str, **fields: object) -> Answer:
        """Count, and write a line unless there were too many of its kind. Never a body, a signature or a secret."""
        self._counts.count(outcome, provider)
        bucket = self._lines.setdefault(outcome, TokenBucket(LINES_PER_SECOND, LINES_PER_SECOND))
        if not bucket.take(self._now_ns() / NS_PER_S):
            said = {name: value for name, value in fields.items() if value is not None}
            self._on_event(answer.text, outcome=outcome, status=answer.status, provider=provider, **said)
        return answer
