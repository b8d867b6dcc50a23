"""The exchange without its sockets: commands in, frames out; sids, seqs, books and the faults of each connection. Pure.

`Exchange` is what all connections share: where the recording has come to, the books that it has shown, the counters.
`Session` is one connection. Frames for a client are appended to `Session.out` in order; whoever owns the socket takes
them from there.

What the vendor leaves open is decided so:
- A second `subscribe` to a channel keeps its sid and adds the markets; `subscribed` is sent again.
- The markets of a snapshot are those that the recording has shown; the others get theirs when the recording brings it.
  So an undisturbed run sends the recorded frames and nothing else.
- `ticker` has no `seq`, but the schema wants one on `unsubscribed`: it counts that sid's replies only.
- `use_yes_price` true is answered by error 11 (books are recorded on their own legs), market ids likewise.
- A command with one bad channel is refused as a whole.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from tapefold.simulators.kalshi.books import Books
from tapefold.simulators.kalshi.faults import Counters, Faults
from tapefold.simulators.kalshi.recording import Frame
from tapefold.simulators.kalshi.wire import (
    BOOK_CHANNEL,
    CHANNEL_OF_TYPE,
    CHANNELS,
    SEQUENCED_CHANNELS,
    UNFILTERED_CHANNELS,
    Command,
    CommandError,
    Params,
    data_head,
    decode_command,
    error_reply,
    reply,
    type_of,
)
from tapefold.simulators.scenario import Fault
from topics.units import NS_PER_MS

_ACTIONS = frozenset({"add_markets", "delete_markets", "get_snapshot"})


@dataclass
class _Subscription:
    """One sid. `markets` is `None` for all; `seq` is the last number given out."""

    channel: str
    sid: int
    markets: dict[str, None] | None
    quiet_acks: bool
    drop_seq: int | None
    seq: int = 0
    heads: dict[str, bytes] = field(default_factory=dict)

    @property
    def sequenced(self) -> bool:
        return self.channel in SEQUENCED_CHANNELS

    def wants(self, market: str) -> bool:
        return self.markets is None or market in self.markets


class Exchange:
    """The shared side. `seed` decides which frames are duplicated, per connection in the order of connecting."""

    def __init__(self, faults: Faults, seed: int, counters: Counters | None = None) -> None:
        self.faults = faults
        self.counters = counters if counters is not None else Counters()
        self.books = Books()
        self.position_ms = 0  # recording time of the last frame passed, Unix ms; 0 before the first
        self.ended = False
        self.subscribes = 0  # accepted `subscribe` commands so far; the first one starts the recording
        self.attention = False  # a session has reached a fault: look at `cut_due` and `stall_due` before the next frame
        self.stall_armed = faults.stall_s is not None
        self.stall_s = faults.stall_s or 0.0
        self.outage_until_ms = 0.0  # of the scenario, in recording time
        self._script = sorted(faults.scenario.faults, key=lambda fault: fault.from_ns, reverse=True)
        self._tickers: dict[str, bytes] = {}
        self._sessions: list[Session] = []
        self._connections = 0
        self._seed = seed

    def connect(self) -> "Session":
        """A new connection, without subscriptions."""
        rng = random.Random(f"{self._seed}/{self._connections}")  # noqa: S311  (faults, not secrets)
        session = Session(self, rng, first=self._connections == 0)
        self._connections += 1
        self._sessions.append(session)
        return session

    def disconnect(self, session: "Session") -> None:
        """The connection is gone; what it has not been sent is lost, and so is what it would have had."""
        session.close()
        if self.ended or not session.subscribed:
            self._sessions = [other for other in self._sessions if other is not session]

    def mending(self) -> bool:
        """Whether an open connection has still to ask for books that it has lost."""
        return any(session.hole_shown and not session.closed for session in self._sessions)

    def forget_absent(self) -> None:
        """A client has (re)subscribed: nothing more is lost on behalf of those who left."""
        self._sessions = [session for session in self._sessions if not session.closed]

    def heard(self) -> bool:
        """Whether any open connection has a subscription."""
        return any(session.subscribed and not session.closed for session in self._sessions)

    def advance(self, frame: Frame) -> None:
        """The recording passes `frame`: books take it, subscribed sessions get it. Raises `UnfoldableFrame`."""
        self.position_ms = frame.at_ms
        while self._script and self._script[-1].from_ns <= frame.at_ms * NS_PER_MS:
            self._strike(self._script.pop())
        kind = frame.kind
        channel = CHANNEL_OF_TYPE.get(kind)
        if channel is None:
            return
        self.counters.passed[kind] += 1
        if channel is BOOK_CHANNEL:
            self.books.fold(frame)
        elif kind == "ticker":
            self._tickers[frame.market] = bytes(frame.msg)
        for session in self._sessions:
            session.offer(channel, frame)

    def _strike(self, fault: Fault) -> None:
        """A fault of the scenario begins, for all who listen."""
        heard = [session for session in self._sessions if session.subscribed and not session.closed]
        if fault.kind == "cut":
            self.outage_until_ms = fault.to_ns / NS_PER_MS
        elif fault.kind == "stall":
            self.stall_s = fault.seconds
        for session in heard[: 1 if fault.kind == "stall" else None]:
            session.strike(fault.kind)

    def finish(self) -> None:
        """The recording is over: who subscribes from now on is `finished` at once."""
        self.ended = True

    def ticker(self, market: str) -> bytes | None:
        """The `msg` of the market's latest ticker frame."""
        return self._tickers.get(market)

    def shown_tickers(self) -> Iterable[str]:
        """Markets with a ticker so far."""
        return self._tickers


class Session:
    """One connection's state."""

    def __init__(self, exchange: Exchange, rng: random.Random, *, first: bool) -> None:
        self.out: list[bytes] = []
        """Frames to send, oldest first. The owner of the socket empties it."""
        self.closed = False
        """Cut, or left by the client."""
        self.finished = False
        """Subscribed after the end of the recording: to be closed with code 1000."""
        self.data_frames = 0
        """Distinct data frames put out so far."""
        self.cut_due = False
        self.stall_due = False
        self.hole_shown = False
        """The client has been sent what reveals a hole in its books, and has not asked for them anew yet."""
        self._exchange = exchange
        self._rng = rng
        self._faults = exchange.faults
        self._drops = set(SEQUENCED_CHANNELS) if first and exchange.faults.drop_seq else set()
        self._by_channel: dict[str, _Subscription] = {}
        self._by_sid: dict[int, _Subscription] = {}
        self._sids = 0

    @property
    def subscribed(self) -> bool:
        """Whether any subscription stands."""
        return bool(self._by_sid)

    def strike(self, kind: str) -> None:
        """A scripted `cut`, `stall` or `drop`; duplicates are drawn for each frame."""
        if kind == "drop":
            for sub in self._by_sid.values():
                sub.drop_seq = sub.seq + 1 if sub.sequenced else None
        self.cut_due = self.cut_due or kind == "cut"
        self.stall_due = self.stall_due or kind == "stall"
        self._exchange.attention = True

    def close(self) -> None:
        """Nothing more can be sent: frames still in `out` are counted as lost instead of sent."""
        self.closed = True
        self._discard()

    def offer(self, channel: str, frame: Frame) -> None:
        """A recorded frame passes; it is put out when a subscription wants it, or lost when nobody is there."""
        sub = self._by_channel.get(channel)
        if sub is None or not (sub.markets is None or frame.market in sub.markets):
            return
        if self.closed:
            self._exchange.counters.lost[frame.kind] += 1
            return
        self._put(sub, frame.kind, frame.msg)

    def receive(self, text: str | bytes) -> None:
        """Take one text frame of the client; replies and snapshots are appended to `out`."""
        command = Command()
        self.hole_shown = False  # whatever it says, it is its answer
        try:
            command = decode_command(text)
            self._obey(command)
        except CommandError as error:
            self.out.append(error_reply(command.id, error.code))

    def _obey(self, command: Command) -> None:
        match command.cmd:
            case "list_subscriptions":
                listed = [{"channel": sub.channel, "sid": sid} for sid, sub in self._by_sid.items()]
                self.out.append(reply("ok", command.id, msg=listed))
            case "subscribe":
                self._subscribe(command.id, _params(command))
            case "unsubscribe":
                self._unsubscribe(command.id, _params(command))
            case "update_subscription":
                self._update(command.id, _params(command))
            case _:
                raise CommandError(5)

    def _subscribe(self, command_id: int, params: Params) -> None:
        if not params.channels:
            raise CommandError(3)
        if not CHANNELS.issuperset(params.channels):
            raise CommandError(8)
        tickers = params.tickers()
        if params.use_yes_price:
            raise CommandError(11)
        if BOOK_CHANNEL in params.channels and tickers is None:
            raise CommandError(14)
        self._exchange.subscribes += 1
        self._exchange.forget_absent()
        opened: list[tuple[_Subscription, list[str]]] = []
        for channel in dict.fromkeys(params.channels):
            sub, new = self._open(channel, tickers, quiet_acks=params.skip_ticker_ack)
            self.out.append(reply("subscribed", command_id, msg={"channel": channel, "sid": sub.sid}))
            opened.append((sub, new))
        if self._exchange.ended:
            self.finished = True
            return
        for sub, new in opened:
            self._show(sub, new, tickers_too=params.send_initial_snapshot)

    def _open(self, channel: str, tickers: list[str] | None, *, quiet_acks: bool) -> tuple[_Subscription, list[str]]:
        """The channel's subscription, made or widened, and the markets to show in full."""
        markets = None if tickers is None or channel in UNFILTERED_CHANNELS else dict.fromkeys(tickers)
        sub = self._by_channel.get(channel)
        if sub is None:
            self._sids += 1
            drop_seq = self._faults.drop_seq if channel in self._drops else None
            self._drops.discard(channel)
            sub = _Subscription(channel, self._sids, markets, quiet_acks, drop_seq)
            self._by_channel[channel] = self._by_sid[sub.sid] = sub
        elif markets is None or sub.markets is None:
            sub.markets = None
        else:
            sub.markets |= markets
        return sub, list(self._exchange.shown_tickers() if markets is None else markets)

    def _unsubscribe(self, command_id: int, params: Params) -> None:
        sids = params.sids or ([] if params.sid is None else [params.sid])
        if not sids:
            raise CommandError(4)
        for sid in dict.fromkeys(sids):
            sub = self._by_sid.pop(sid, None)
            if sub is None:
                self.out.append(error_reply(command_id, 7))
                continue
            del self._by_channel[sub.channel]
            self._acknowledge(sub, "unsubscribed", command_id, None)

    def _update(self, command_id: int, params: Params) -> None:
        sids = params.sids if params.sid is None else [*params.sids, params.sid]
        if len(sids) != 1:
            raise CommandError(12)
        sub = self._by_sid.get(sids[0])
        if sub is None:
            raise CommandError(7)
        if params.action is None:
            raise CommandError(15)
        if params.action not in _ACTIONS:
            raise CommandError(13)
        tickers = params.tickers()
        if tickers is None:
            raise CommandError(14)
        if params.action == "get_snapshot":
            self._get_snapshot(sub, tickers, command_id)
        elif sub.markets is None:
            raise CommandError(11)
        elif params.action == "add_markets":
            new = [market for market in dict.fromkeys(tickers) if market not in sub.markets]
            sub.markets |= dict.fromkeys(new)
            self._acknowledge_markets(sub, command_id)
            self._show(sub, new, tickers_too=params.send_initial_snapshot)
        else:
            sub.markets = {market: None for market in sub.markets if market not in tickers}
            self._acknowledge_markets(sub, command_id)

    def _get_snapshot(self, sub: _Subscription, tickers: list[str], command_id: int) -> None:
        if sub.channel != BOOK_CHANNEL:
            raise CommandError(13)
        strangers = [market for market in tickers if not sub.wants(market)]
        if strangers:
            self.out.append(error_reply(command_id, 11, strangers))
            return
        self._send_snapshots(sub, dict.fromkeys(tickers), command_id)

    def _show(self, sub: _Subscription, markets: Iterable[str], *, tickers_too: bool) -> None:
        """Bring a subscriber up to date: books always, tickers when asked for."""
        if sub.channel == BOOK_CHANNEL:
            self._send_snapshots(sub, markets)
        elif sub.channel == "ticker" and tickers_too:
            self._send_tickers(sub, markets)

    def _send_snapshots(self, sub: _Subscription, markets: Iterable[str], command_id: int = 0) -> None:
        for market in markets:
            book = self._exchange.books.get(market)
            if book is not None:
                self._put(sub, "orderbook_snapshot", book.snapshot(), command_id)

    def _send_tickers(self, sub: _Subscription, markets: Iterable[str]) -> None:
        for market in markets:
            msg = self._exchange.ticker(market)
            if msg is not None:
                self._put(sub, "ticker", msg)

    def _acknowledge_markets(self, sub: _Subscription, command_id: int) -> None:
        self._acknowledge(sub, "ok", command_id, {} if sub.quiet_acks else {"market_tickers": list(sub.markets or ())})

    def _acknowledge(self, sub: _Subscription, kind: str, command_id: int, msg: object) -> None:
        """A reply on a sid. It takes a number where the vendor's schema has one, and can be dropped with it."""
        numbered = self._faults.replies_take_seq and (sub.sequenced or kind == "unsubscribed")
        if numbered:
            sub.seq += 1
        if numbered and sub.seq == sub.drop_seq:
            self._exchange.counters.dropped[kind] += 1
            return
        self.out.append(reply(kind, command_id, sid=sub.sid, seq=sub.seq if numbered else None, msg=msg))

    def _put(self, sub: _Subscription, kind: str, msg: bytes, command_id: int = 0) -> None:
        """Number a data frame and append it; its `msg` is spliced in as recorded, never encoded again."""
        counters = self._exchange.counters
        if self.cut_due:
            counters.lost[kind] += 1
            return
        head = data_head(kind, sub.sid, command_id) if command_id else sub.heads.get(kind)
        if head is None:
            head = sub.heads[kind] = data_head(kind, sub.sid)
        if sub.channel in SEQUENCED_CHANNELS:
            sub.seq += 1
            if sub.seq == sub.drop_seq:
                counters.dropped[kind] += 1
                return
            if sub.channel == BOOK_CHANNEL and sub.seq - 1 == sub.drop_seq:
                self.hole_shown = self._exchange.attention = True
            payload = b"".join((head, b',"seq":%d,"msg":' % sub.seq, msg, b"}"))
        else:
            payload = b"".join((head, b',"msg":', msg, b"}"))
        self.out.append(payload)
        counters.sent[kind] += 1
        self.data_frames += 1
        faults = self._faults
        twice = faults.duplicate_probability
        if faults.scenario.faults:
            twice = faults.scenario.share("duplicate", self._exchange.position_ms * NS_PER_MS, twice)
        if twice and self._rng.random() < twice:
            self.out.append(payload)
            counters.duplicated[kind] += 1
        if self.data_frames == faults.disconnect_every_frames:
            self.cut_due = self._exchange.attention = True
        if self._exchange.stall_armed and self.data_frames >= faults.stall_after_frames:
            self._exchange.stall_armed = False
            self.stall_due = self._exchange.attention = True

    def _discard(self) -> None:
        """Move what was never sent from the counts of the sent to those of the lost."""
        counters = self._exchange.counters
        before = b""
        for payload in self.out:
            kind = type_of(payload)
            if kind is not None and payload is before:
                counters.duplicated[kind] -= 1
            elif kind is not None:
                counters.sent[kind] -= 1
                counters.lost[kind] += 1
            before = payload
        self.out.clear()


def _params(command: Command) -> Params:
    if command.params is None:
        raise CommandError(2)
    return command.params
