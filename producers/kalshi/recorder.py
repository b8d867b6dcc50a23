"""Everything between the socket and the log: stamps, the session, beats, the journal. It waits for nothing but the log.

The socket loop calls it from one thread: `opened` for each connection, `frame` and `tick` while it lasts, `lost` when
it is gone, and `end` or `refused` once at the end of the run.
"""

from collections import Counter
from pathlib import Path

from msgspec.structs import replace

from producers.beat import INTERVAL_NS, LEASE_NS, UNSTAMPED_NS, Beater, Clock
from producers.kalshi import journal
from producers.kalshi.envelope import read
from producers.kalshi.notices import SOURCE
from producers.kalshi.session import CHANNELS, Session, Stats
from producers.kalshi.watch import Watch
from producers.metrics import OnMetric
from producers.publish import Outgoing, Publisher
from topics.catalog import RAW_KALSHI_WS
from topics.errors import BadRecord, Refused
from topics.events import BeatNotice, Channel, CoverageNotice, GapKind, GapNotice
from topics.log import Appender

HELD_MAX = 10_000  # records that wait for a tape's first time; a recording without any is then stamped 0
FLUSH_TIMEOUT_S = 120.0  # librdkafka's own delivery timeout: after it nothing can still come


class Recorder:
    """Records one connection after the other.

    partitions: of `raw.kalshi.ws`. journal_path: see `producers.kalshi.journal`; None keeps no journal.
    Raises Refused when the journal cannot be read; every verb raises Undelivered when the log did not confirm.
    """

    def __init__(
        self,
        appender: Appender,
        clock: Clock,
        watch: Watch,
        *,
        partitions: int,
        on_metric: OnMetric,
        channels: tuple[Channel, ...] = CHANNELS,
        interval_ns: int = INTERVAL_NS,
        lease_ns: int = LEASE_NS,
        journal_path: Path | None = None,
    ) -> None:
        self.stats = Stats()
        self.session: Session | None = None
        self._appender = appender
        self._clock = clock
        self._watch = watch
        self._on_metric = on_metric
        self._channels = channels
        self._interval_ns = interval_ns
        self._lease_ns = lease_ns
        self._journal_path = journal_path
        self._dead = None if journal_path is None else journal.load(journal_path)
        self._publisher = Publisher(
            appender, topic=RAW_KALSHI_WS, partitions=partitions, source=SOURCE, conn="", clock=clock.name
        )
        self._beater: Beater | None = None
        self._begun = False
        self._held: list[tuple[Publisher, Outgoing]] | None = [] if clock.now_ns() is None else None
        self._beats = 0
        self._told = (0, 0)

    # --- verbs of the loop --------------------------------------------------------------------------------------------

    def is_known(self, conn: str) -> bool:
        """Whether a connection of this name was before: then take another."""
        return conn == self._publisher.conn or (self._dead is not None and conn == self._dead.conn)

    def opened(self, conn: str, loop_ns: int) -> Session:
        """A new connection replaces the last one, which says good-bye."""
        self._say_bye(self._now_ns())
        self._publisher = self._publisher.of_conn(conn)
        self._beater = Beater(SOURCE, conn, interval_ns=self._interval_ns, lease_ns=self._lease_ns)
        self.session = Session(conn, self._watch, self._channels, loop_ns=loop_ns)
        self.session.stats = self.stats
        if self._clock.name == "wall":
            self._beat()
        return self.session

    def frame(self, raw: bytes) -> bool:
        """Record one frame; returns whether the session has commands to send, or refuses to go on."""
        session = self.session
        assert session is not None, "opened() comes first"
        envelope = read(raw)
        clock_ns = self._clock.stamp(envelope.exchange_ns())
        if not self._begun and clock_ns is not None:
            self._begin(clock_ns)
        version = session.subscriptions_version
        outs = session.receive(raw, envelope, UNSTAMPED_NS if clock_ns is None else clock_ns)
        if version != session.subscriptions_version:
            self._save()
        if len(outs) > 1:
            self._tell_gaps(outs)
        for out in outs:
            self._put(out)
        if clock_ns is None:
            if self._held is not None and len(self._held) >= HELD_MAX:
                self._begin(self._clock.begin())
        elif self._clock.name == "tape" and self._beater is not None and clock_ns >= self._beater.due_ns:
            self._beat()
        return session.commands_wait or session.refusal is not None

    def add(self, tickers: list[str]) -> None:
        """Watch these too."""
        if self.session is None:
            self._watch.add(tickers)
            return
        outs = self.session.add(tickers, self._now_ns())
        self._save()
        for out in outs:
            self._put(out)

    def tick(self, loop_ns: int) -> None:
        """Once a second: beat on the wall, let retries become due and delivery errors surface, tell the metrics."""
        if self.session is not None:
            self.session.tick(loop_ns)
            if self._clock.name == "wall":
                self._beat()
        self._publisher.poll()
        frames, told_bytes = self._told
        self._told = (self.stats.frames, self.stats.bytes)
        self._on_metric(
            "ws.frames",
            conn=self._publisher.conn,
            frames=self.stats.frames - frames,
            bytes=self.stats.bytes - told_bytes,
            repeated=self.stats.repeated,
            dropped=sum(self.stats.dropped.values()),
        )
        if self._beats:
            clock_ns, data_ns = self._clock.now_ns(), self._clock.data_ns
            self._on_metric("ws.beat", conn=self._publisher.conn, beats=self._beats, clock_ns=clock_ns, data_ns=data_ns)
            self._beats = 0

    def crowded(self) -> bool:
        """Whether to read no further until the broker catches up."""
        if not self._publisher.crowded():
            return False
        self._publisher.poll()  # a record counts as waiting until its callback is served
        return self._publisher.crowded()

    def lost(self, kind: GapKind) -> None:
        """The connection is gone; its good-bye follows when another one replaces it, or at the end."""
        if self.session is None:
            return
        outs = self.session.lost(kind, self._now_ns())
        self.session = None
        self._tell_gaps(outs)
        for out in outs:
            self._put(out)

    def flush(self) -> None:
        """Wait until the log has confirmed everything."""
        self._appender.flush(FLUSH_TIMEOUT_S)

    def end(self) -> None:
        """A clean end: coverage closes, the last beat says good-bye, the log confirms, the journal goes."""
        if not self._settled():
            return
        if self.session is not None:
            clock_ns = self._clock.begin()
            for out in self.session.stopped(clock_ns):
                self._put(out)
            self.session = None
        self._say_bye(self._clock.end_ns())
        self._finish()

    def refused(self) -> None:
        """The exchange refused us: what was covered is lost from here on, and that is said in good order."""
        if not self._settled():
            return
        self.lost("disconnect")
        self._say_bye(self._clock.begin())
        self._finish()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _now_ns(self) -> int:
        now_ns = self._clock.now_ns()
        return UNSTAMPED_NS if now_ns is None else now_ns

    def _settled(self) -> bool:
        """Whether there is anything to end. A tape that brought no frame knows no time: it leaves all as it was."""
        if not self._begun:
            if self._held is not None and not self._held:
                return False
            self._begin(self._clock.begin())
        return True

    def _begin(self, clock_ns: int) -> None:
        """The first moment at which the clock is known: the predecessor's crash is told, then what was held."""
        self._begun = True
        held, self._held = self._held or [], None
        if self._dead is not None:
            dead = self._publisher.of_conn(self._dead.conn)
            outs = journal.crash_notices(self._dead, clock_ns, self._lease_ns)
            self._tell_gaps(outs)
            for out in outs:
                dead.put(out)
            self.flush()  # only what is confirmed may leave the journal
        if self.session is not None:
            self.session.begin(clock_ns)
            self._save()
        for publisher, out in held:
            self._put(_restamped(out, clock_ns), publisher)

    def _put(self, out: Outgoing, publisher: Publisher | None = None) -> None:
        publisher = publisher or self._publisher
        if self._held is not None:
            self._held.append((publisher, out))
            return
        assert out.received_ns != UNSTAMPED_NS, "what is not held has a stamp"
        try:
            publisher.put(out)
        except BadRecord:
            if self.session is None or not isinstance(out.value, bytes):
                raise
            for gap in self.session.unrecorded(read(out.value), out.received_ns):
                publisher.put(gap)

    def _beat(self) -> None:
        clock_ns = self._clock.now_ns()
        if self._beater is not None and clock_ns is not None:
            self._beats += 1
            self._put(Outgoing(self._beater.beat(clock_ns, self._clock.data_ns), None, clock_ns))

    def _say_bye(self, clock_ns: int) -> None:
        if self._beater is not None:
            self._put(Outgoing(self._beater.bye(clock_ns, self._clock.data_ns), None, clock_ns))
            self._beater = None

    def _save(self) -> None:
        if self._journal_path is None or self.session is None or not self._begun:
            return
        covered = [journal.Covered(sub.sid, sub.channel, sub.markets) for sub in self.session.subscriptions]
        journal.save(self._journal_path, journal.Journal(self.session.conn, self._clock.name, covered))

    def _finish(self) -> None:
        self.flush()
        if self._journal_path is not None:
            journal.remove(self._journal_path)

    def _tell_gaps(self, outs: list[Outgoing]) -> None:
        gaps = [out.value for out in outs if isinstance(out.value, GapNotice)]
        markets = Counter((gap.conn, gap.sid, gap.channel, gap.kind, gap.from_seq, gap.to_seq) for gap in gaps)
        for (conn, sid, channel, kind, from_seq, to_seq), count in markets.items():
            self._on_metric(
                "ws.gap",
                conn=conn,
                sid=sid,
                channel=channel,
                kind=kind,
                from_seq=from_seq,
                to_seq=to_seq,
                markets=count,
            )

    @property
    def refusal(self) -> Refused | None:
        """Why the session will not go on."""
        return None if self.session is None else self.session.refusal


def _restamped(out: Outgoing, clock_ns: int) -> Outgoing:
    """The record as it would be, had the clock begun before it."""
    value = out.value
    if isinstance(value, GapNotice):
        value = replace(value, clock_ns=clock_ns)
    elif isinstance(value, CoverageNotice):
        ended_ns = None if value.ended_ns is None else clock_ns
        value = replace(value, started_ns=clock_ns, ended_ns=ended_ns)
    elif isinstance(value, BeatNotice):
        value = replace(value, clock_ns=clock_ns)
    return out._replace(value=value, received_ns=clock_ns)
