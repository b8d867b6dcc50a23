"""One connection to Kalshi's WebSocket, without the socket: frames in, records and commands out. Pure.

    session = Session("c1", Watch(["KXHIGHNY-26AUG10-B85"]))
    for command in session.commands_to_send(): ...            # subscribe
    for record in session.receive(frame, read(frame), received_ns): ...   # append in this order

After each `receive`, `add` and `tick`: send `commands_to_send()` if `commands_wait`, and stop if there is a `refusal`.

Rules, after AsyncAPI "Market Data WebSocket API" 2.0.0 (read 2026-11): `seq` counts all frames of a sid, over all its
markets and its control frames too, so a hole is one gap for every market of the sid. Frames are published as received,
with one exception on purpose: the lifecycle channel honours no filter and tells of every market of the exchange; what
it says of markets that nobody watches is counted in `stats.dropped` by type, and left out.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Literal, get_args

from msgspec import Struct, field

from producers.beat import UNSTAMPED_NS
from producers.kalshi.commands import REACTIONS, Command, Commands, retry_pause_ns
from producers.kalshi.envelope import Envelope, Message
from producers.kalshi.notices import Subscription, coverage_begins, coverage_ends, gap
from producers.kalshi.watch import Watch
from producers.publish import Outgoing
from topics.errors import Refused
from topics.events import Channel, GapKind
from topics.units import NS_PER_S

CHANNELS: tuple[Channel, ...] = get_args(Channel)
LIFECYCLE: Channel = "market_lifecycle_v2"
BOOK: Channel = "orderbook_delta"
SNAPSHOT_TIMEOUT_NS = 10 * NS_PER_S
SNAPSHOT_TICKERS_MAX = 500  # per get_snapshot: a lost request then costs little

_CHANNEL_OF: dict[str, Channel] = {  # which channel a data frame's type belongs to
    "orderbook_delta": BOOK,
    "orderbook_snapshot": BOOK,
    "trade": "trade",
    "ticker": "ticker",
    "market_lifecycle_v2": LIFECYCLE,
    "event_lifecycle": LIFECYCLE,
    "event_fee_update": LIFECYCLE,
}


class Stats(Struct):
    """Counters of one session. dropped: lifecycle frames of markets that nobody watches, by type."""

    frames: int = 0
    bytes: int = 0
    repeated: int = 0
    holes: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


class Session:
    """The session of one connection.

    conn: the connection's id. watch: the markets; those that it lacks and a watched series brings are added to it.
    channels: which to subscribe to, one command each. loop_ns: the loop's clock, moved by `tick`; retries go by it,
    because a tape may run a thousand times faster than the exchange can answer.
    """

    def __init__(self, conn: str, watch: Watch, channels: tuple[Channel, ...] = CHANNELS, *, loop_ns: int = 0) -> None:
        self.conn = conn
        self.stats = Stats()
        self.refusal: Refused | None = None
        self.commands_wait = True
        self.subscriptions_version = 0  # grows when `subscriptions` change
        self._watch = watch
        self._channels = channels
        self._loop_ns = loop_ns
        self._commands = Commands()
        self._subs: dict[int, Subscription] = {}
        self._ended: set[int] = set()
        self._reconcile(UNSTAMPED_NS)  # nothing is subscribed yet, so nothing is covered yet

    @property
    def subscriptions(self) -> list[Subscription]:
        """The subscriptions that stand."""
        return list(self._subs.values())

    # --- verbs --------------------------------------------------------------------------------------------------------

    def receive(self, frame: bytes, envelope: Envelope, received_ns: int) -> list[Outgoing]:
        """What to append for one frame, in order: gaps that it reveals, the frame, coverage that it begins or ends."""
        stats = self.stats
        stats.frames += 1
        stats.bytes += len(frame)
        kind = envelope.type
        message = envelope.msg
        ticker = None if message is None else message.market_ticker
        before: list[Outgoing] = []
        sub = None
        if (sid := envelope.sid) is not None:
            sub = self._subs.get(sid) or self._adopt(sid, kind)
            if sub is not None and (seq := envelope.seq) is not None:
                last = sub.last_seq
                if last is None or seq == last + 1:
                    sub.last_seq = seq
                elif seq > last:
                    before = self._hole(sub, last + 1, seq, received_ns)
                else:
                    stats.repeated += 1
        if kind not in _DATA:
            return self._other(frame, envelope, sub, received_ns, before)
        sid_ns = None
        if sub is not None and sub.channel == BOOK and ticker is not None:
            sid_ns = self._book(sub, kind, ticker, envelope)
        key = ticker.encode() if ticker and ticker.isascii() else None
        return [*before, Outgoing(frame, key, received_ns, sid_ns)]

    def commands_to_send(self) -> list[bytes]:
        """The commands that are due, as text frames in order."""
        self.commands_wait = False
        for sub in self._subs.values():
            due = iter([ticker for ticker, due_ns in sub.wanted.items() if due_ns <= self._loop_ns])
            while tickers := tuple(islice(due, SNAPSHOT_TICKERS_MAX)):
                sub.wanted.update(dict.fromkeys(tickers, self._loop_ns + SNAPSHOT_TIMEOUT_NS))
                self._commands.queue(Command("get_snapshot", sub.channel, tickers, sub.sid))
        return self._commands.take(self._loop_ns)

    def tick(self, loop_ns: int) -> None:
        """Move the loop's clock: what stayed unanswered becomes due again."""
        self._loop_ns = loop_ns
        asks = any(due_ns <= loop_ns for sub in self._subs.values() for due_ns in sub.wanted.values())
        if self._commands.tick(loop_ns) or asks:
            self.commands_wait = True

    def add(self, tickers: Iterable[str], clock_ns: int) -> list[Outgoing]:
        """Watch these markets too, as far as they belong to this shard; returns coverage that begins at once."""
        self._watch.add(tickers)
        return self._reconcile(clock_ns)

    def lost(self, kind: GapKind, clock_ns: int) -> list[Outgoing]:
        """The connection is gone, not by our will: a gap per market and sid, and the end of its coverage."""
        gaps = [out for sub in self._subs.values() for out in self._gaps(sub, kind, clock_ns)]
        return gaps + self._end_coverage(clock_ns, "gap")

    def stopped(self, clock_ns: int) -> list[Outgoing]:
        """We leave, or the exchange closed in good order: the end of all coverage."""
        return self._end_coverage(clock_ns, "stop")

    def unrecorded(self, envelope: Envelope, clock_ns: int) -> list[Outgoing]:
        """The log does not take this frame (it is too large): a gap of one frame for each market of its sid."""
        sub = None if envelope.sid is None else self._subs.get(envelope.sid)
        if sub is None:
            return []
        self.stats.holes += 1
        return self._gaps(sub, "seq_hole", clock_ns, envelope.seq, envelope.seq)

    def begin(self, clock_ns: int) -> None:
        """The clock has begun only now: coverage that was noted without a stamp begins here."""
        for sub in self._subs.values():
            sub.markets = {
                ticker: clock_ns if started_ns == UNSTAMPED_NS else started_ns
                for ticker, started_ns in sub.markets.items()
            }
        self.subscriptions_version += 1

    # --- sequence numbers and books -----------------------------------------------------------------------------------

    def _adopt(self, sid: int, kind: str) -> Subscription | None:
        """A sid that sends data before its `subscribed` came; control frames of strange sids prove no subscription."""
        channel = _CHANNEL_OF.get(kind)
        if channel is None or sid in self._ended:
            return None
        return self._subs.setdefault(sid, Subscription(sid, channel))

    def _hole(self, sub: Subscription, from_seq: int, seq: int, clock_ns: int) -> list[Outgoing]:
        sub.last_seq = seq
        self.stats.holes += 1
        if sub.channel == BOOK:
            for ticker in sub.markets:  # a request that names a stranger is refused as a whole
                self._want(sub, ticker)
        return self._gaps(sub, "seq_hole", clock_ns, from_seq, seq - 1)

    def _gaps(
        self, sub: Subscription, kind: GapKind, clock_ns: int, from_seq: int | None = None, to_seq: int | None = None
    ) -> list[Outgoing]:
        if from_seq is None and sub.last_seq is not None:
            from_seq = sub.last_seq + 1
        return [
            gap(self.conn, sub, kind, ticker, clock_ns, from_seq=from_seq, to_seq=to_seq)
            for ticker in sub.markets or self._watch.tickers
        ]

    def _book(self, sub: Subscription, kind: str, ticker: str, envelope: Envelope) -> int | None:
        """Follow the books; returns a snapshot's `sid_ns`."""
        if kind == "orderbook_delta":
            exchange_ns = envelope.exchange_ns()
            if exchange_ns is not None and (sub.latest_ns is None or exchange_ns > sub.latest_ns):
                sub.latest_ns = exchange_ns
            if ticker not in sub.books and ticker.isascii():
                self._want(sub, ticker)
            return None
        if kind != "orderbook_snapshot":
            return None
        sub.books.add(ticker)
        sub.wanted.pop(ticker, None)
        sub.refusals = 0
        return sub.latest_ns

    def _want(self, sub: Subscription, ticker: str) -> None:
        if ticker not in sub.wanted:
            sub.wanted[ticker] = self._loop_ns
            self.commands_wait = True

    # --- everything but market data -----------------------------------------------------------------------------------

    def _other(
        self, frame: bytes, envelope: Envelope, sub: Subscription | None, received_ns: int, before: list[Outgoing]
    ) -> list[Outgoing]:
        message = envelope.msg or Message()
        key: bytes | None = None
        after: list[Outgoing] = []
        if _CHANNEL_OF.get(envelope.type) == LIFECYCLE:
            if not self._watch.concerns(message):
                self.stats.dropped[envelope.type] = self.stats.dropped.get(envelope.type, 0) + 1
                return before
            if (ticker := message.market_ticker) and ticker.isascii():
                key = ticker.encode()
                if message.event_type in {"created", "activated"}:
                    after = self.add((ticker,), received_ns)
        elif envelope.type == "subscribed":
            after = self._subscribed(envelope, message, received_ns)
        elif envelope.type == "ok":
            after = self._ok(envelope, message, received_ns)
        elif envelope.type == "unsubscribed" and sub is not None:
            gaps, after = self._end(sub, "channel_error", received_ns)
            before = before + gaps
        elif envelope.type == "error":
            gaps, after = self._error(envelope, message, sub, received_ns)
            before = before + gaps
        elif (ticker := message.market_ticker) and ticker.isascii():
            key = ticker.encode()
        return [*before, Outgoing(frame, key, received_ns), *after]

    def _subscribed(self, envelope: Envelope, message: Message, clock_ns: int) -> list[Outgoing]:
        command = self._commands.answered(envelope.id)
        channel = next((channel for channel in CHANNELS if channel == message.channel), None)
        if message.sid is None or channel is None:
            return []
        sub = self._subs.setdefault(message.sid, Subscription(message.sid, channel))
        named = command.tickers if command is not None and channel != LIFECYCLE else self._watch.tickers
        return self._cover(sub, named, clock_ns) + self._reconcile(clock_ns)

    def _ok(self, envelope: Envelope, message: Message, clock_ns: int) -> list[Outgoing]:
        command = self._commands.answered(envelope.id)
        if command is None or command.action != "add_markets" or command.sid not in self._subs:
            return []
        told = command.tickers if message.market_tickers is None else set(message.market_tickers)
        return self._cover(self._subs[command.sid], [t for t in command.tickers if t in told], clock_ns)

    def _error(
        self, envelope: Envelope, message: Message, sub: Subscription | None, clock_ns: int
    ) -> tuple[list[Outgoing], list[Outgoing]]:
        code = message.code if message.code is not None else -1
        command = self._commands.answered(envelope.id)
        reaction = REACTIONS.get(code, "tolerate" if command is None else "retry")
        if sub is None and command is not None and command.sid is not None:
            sub = self._subs.get(command.sid)
        if reaction == "refuse":
            self.refusal = _refusal(code, message.msg, command)
        elif reaction == "split" and command is not None:
            self._split(command)
        elif reaction == "end" or (reaction == "retry" and command is None and sub is not None):
            if sub is None and envelope.id is not None:  # it answers a command, and no subscription of ours ends
                if command is not None:
                    self._commands.retry(command, self._loop_ns)
                return [], []
            ends = list(self._subs.values()) if sub is None else [sub]
            parts = [self._end(end, "overflow" if code == _OVERFLOW else "channel_error", clock_ns) for end in ends]
            return [out for gaps, _ in parts for out in gaps], [out for _, closed in parts for out in closed]
        elif reaction == "retry" and command is not None:
            self._retry(command, sub)
        return [], []

    def _retry(self, command: Command, sub: Subscription | None) -> None:
        if command.action != "get_snapshot":
            self._commands.retry(command, self._loop_ns)
        elif sub is not None:
            sub.refusals += 1
            due_ns = self._loop_ns + retry_pause_ns(sub.refusals)
            sub.wanted.update(dict.fromkeys((t for t in command.tickers if t in sub.wanted), due_ns))

    def _split(self, command: Command) -> None:
        """Too many markets for one subscription: a new one for those that did not fit, in halves until it does."""
        half = len(command.tickers) // 2
        if command.action == "add_markets":
            parts = [command.tickers]
        elif half == 0:
            self.refusal = _refusal(26, "Subscription market limit exceeded", command)
            return
        else:
            parts = [command.tickers[:half], command.tickers[half:]]
        for tickers in parts:
            self._commands.queue(Command("subscribe", command.channel, tickers))
        self.commands_wait = True

    def _end(self, sub: Subscription, kind: GapKind, clock_ns: int) -> tuple[list[Outgoing], list[Outgoing]]:
        """The exchange ended a subscription: its gaps, the end of its coverage, and a new subscription."""
        gaps = self._gaps(sub, kind, clock_ns)
        closed = self._close(sub, clock_ns, "gap")
        del self._subs[sub.sid]
        self._ended.add(sub.sid)
        tickers = dict.fromkeys([*sub.markets, *self._commands.forget(sub.sid)])
        if tickers:
            named = () if sub.channel == LIFECYCLE else tuple(tickers)
            self._commands.queue(Command("subscribe", sub.channel, named))
        self.commands_wait = True
        self.subscriptions_version += 1
        return gaps, closed

    # --- what is watched, and what covers it --------------------------------------------------------------------------

    def _reconcile(self, clock_ns: int) -> list[Outgoing]:
        """Ask for what is watched, not covered, and not yet asked for."""
        covered: list[Outgoing] = []
        for channel in self._channels:
            subs = [sub for sub in self._subs.values() if sub.channel == channel]
            held = self._commands.awaited(channel).union(*(sub.markets for sub in subs))
            missing = tuple(ticker for ticker in self._watch.tickers if ticker not in held)
            if not missing or self._commands.awaits(channel):
                continue
            if channel == LIFECYCLE and subs:
                covered += self._cover(subs[-1], missing, clock_ns)
                continue
            tickers = () if channel == LIFECYCLE else missing
            if subs:
                self._commands.queue(Command("add_markets", channel, tickers, subs[-1].sid))
            else:
                self._commands.queue(Command("subscribe", channel, tickers))
            self.commands_wait = True
        return covered

    def _cover(self, sub: Subscription, tickers: Iterable[str], clock_ns: int) -> list[Outgoing]:
        fresh = [ticker for ticker in tickers if ticker not in sub.markets]
        sub.markets.update(dict.fromkeys(fresh, clock_ns))
        self.subscriptions_version += 1
        return [coverage_begins(self.conn, sub, ticker, clock_ns) for ticker in fresh]

    def _close(self, sub: Subscription, clock_ns: int, ended_by: Literal["stop", "gap"]) -> list[Outgoing]:
        return [coverage_ends(self.conn, sub, ticker, clock_ns, ended_by=ended_by) for ticker in sub.markets]

    def _end_coverage(self, clock_ns: int, ended_by: Literal["stop", "gap"]) -> list[Outgoing]:
        closed = [out for sub in self._subs.values() for out in self._close(sub, clock_ns, ended_by)]
        self._subs.clear()
        self.subscriptions_version += 1
        return closed


def _refusal(code: int, text: str | None, command: Command | None) -> Refused:
    about = "no command of ours" if command is None else f"{command.action} of {command.channel}"
    next_step = {
        9: "check KALSHI_API_KEY_ID and its private key",
        26: "watch fewer markets in one process, or raise WS_SHARD_COUNT",
    }.get(code, "this is a bug of tapefold; report it with the frame, which is on the log")
    return Refused(f"Kalshi answered {about} with error {code} ({text or 'no text'}); {next_step}")


_OVERFLOW = 25
_DATA = frozenset({"trade", "ticker", "orderbook_delta", "orderbook_snapshot"})
