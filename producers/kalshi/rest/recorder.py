"""The loops: discovery, backfill, cleanup of closed markets.

What was asked for goes to the log as it came, whole or not at all; what is done is noted after the log has confirmed it.
Beats say that we ask, and that all which was answered before their clock stands on the log; minutes are closed by the
socket's, for a source that tells of the past must not hold them up. A series is covered (`listing`) while each round of
discovery lists all of it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from decimal import DecimalException
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from producers.beat import Beater
from producers.coverage import Covers
from producers.kalshi.rest import checkpoint, plan
from producers.kalshi.rest.asker import Asker, Refusal
from producers.kalshi.rest.door import Answer
from producers.kalshi.rest.plan import Cutoff, Known
from producers.kalshi.rest.registry import Unresolved
from producers.metrics import OnMetric
from producers.publish import Outgoing, Publisher
from producers.together import first_of
from topics import catalog, stations
from topics.errors import Unavailable
from topics.events import BeatNotice, GapNotice, Recorded
from topics.log import Appender
from topics.units import NS_PER_S

SOURCE = "kalshi.rest"
EDGE_CACHE_S = 15.0  # public answers may be this old: asking sooner brings the same
KEEP_DONE_S = 30 * 86_400
LACKING_MAX = 3  # times that a listing is asked for which cannot be all
_FLUSH_S = 60.0
_BEAT_S = 10.0
LEASE_NS = 60 * NS_PER_S  # an append may wait for the log as long, and beats wait for it
_FORMS = (msgspec.MsgspecError, ValueError, DecimalException)


class Span(NamedTuple):
    """Closing times [from_s, to_s), in Unix seconds."""

    from_s: int
    to_s: int


class Recorder:
    """Records some series.

    path: of the checkpoint. log_id: of the log that it speaks of. span: of the past to fetch, None for none. page_limit:
    items a page. lease_ns: of the beats, by the clock of `now_ns`. leave_out: go on without series and markets that the
    registry does not resolve.
    """

    def __init__(
        self,
        asker: Asker,
        publisher: Publisher,
        appender: Appender,
        series: Sequence[str],
        *,
        path: Path,
        log_id: str,
        now_ns: Callable[[], int],
        on_metric: OnMetric,
        span: Span | None = None,
        page_limit: int = plan.PAGE_LIMIT,
        lease_ns: int = LEASE_NS,
        leave_out: bool = False,
    ) -> None:
        self._asker = asker
        self._publisher = publisher
        self._appender = appender
        self._asked = series
        self._series = list(series)
        self._path = path
        self._now_ns = now_ns
        self._on_metric = on_metric
        self._span = span
        self._limit = page_limit
        self._cutoff = Cutoff()
        self._beater = Beater(SOURCE, publisher.conn, lease_ns=lease_ns)
        self._covers = Covers(SOURCE, publisher.conn, "listing")
        self._listed_ns: dict[str, int] = {}
        self._at_work: dict[object, int] = {}  # a unit -> when it began; its answers are not all appended yet
        self._unresolved = Unresolved()
        self._leaves_out = leave_out
        self.checkpoint = checkpoint.read(path, log_id)

    async def run(self, stop: asyncio.Event, *, discovery_s: float, backfill_s: float, until_done: bool) -> None:
        """Until `stop`, or until all known markets are done. Raises Undelivered, and StationUnresolved.

        A series that is not in the registry is refused before anything is asked. What the exchange says otherwise than
        the registry is left out and told when it is seen; with `until_done` it is raised when all else is done. With
        `leave_out` both are told alike, and nothing is raised.
        """
        unknown = {name: reason for name in self._series if (reason := self._unresolved.unknown(name)) is not None}
        if unknown and not self._leaves_out:
            raise stations.StationUnresolved("; ".join(unknown.values()))
        for series_ticker, reason in unknown.items():
            self._tell_unresolved(series_ticker, "listing", reason)
        self._series = [name for name in self._series if name not in unknown]
        await first_of(self._rounds(stop, discovery_s, backfill_s, until_done=until_done), self._beats())
        self._leave()
        if until_done and self._unresolved.reasons and not self._leaves_out:
            raise stations.StationUnresolved("; ".join(self._unresolved.reasons.values()))

    async def _rounds(self, stop: asyncio.Event, discovery_s: float, backfill_s: float, *, until_done: bool) -> None:
        await self._guarded("discovery", self.discover)
        if self._span is not None:
            await self._guarded("history", self.list_past)
        if until_done:
            await self._guarded("cleanup", self.clean)
            await self._guarded("backfill", self.backfill)
            return
        await first_of(
            self._every(stop, max(discovery_s, EDGE_CACHE_S), (self.discover, self.clean)),
            self._every(stop, max(backfill_s, EDGE_CACHE_S), (self.backfill,)),
            stop.wait(),
        )

    async def _beats(self) -> None:
        while True:
            self._beat(self._beater.beat)
            await asyncio.sleep(_BEAT_S)

    def _beat(self, say: Callable[[int, int | None], BeatNotice]) -> None:
        now_ns = self._now_ns()
        self._publisher.put(Outgoing(say(min([now_ns, *self._at_work.values()]), None), None, now_ns))

    def _leave(self) -> None:
        """A clean end: coverage closes at the last whole listing, and the connection says good-bye."""
        self._tell_coverage((), ended_by="stop")
        self._beat(self._beater.bye)
        self._appender.flush(_FLUSH_S)

    async def _every(
        self, stop: asyncio.Event, interval_s: float, rounds: Sequence[Callable[[], Awaitable[None]]]
    ) -> None:
        while not stop.is_set():
            for one in rounds:
                await self._guarded(one.__name__, one)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), interval_s)

    async def _guarded(self, name: str, one: Callable[[], Awaitable[None]]) -> None:
        """A round that fails for want of an answer is told and comes again; nothing of its unit was appended."""
        try:
            await one()
        except Unavailable as error:
            self._on_metric("rest.failed", round=name, error=str(error))

    async def discover(self) -> None:
        """Series, events and markets of every series, and the historical cutoff."""
        whole: list[str] = []
        try:
            with self._refusals("discovery", "cutoff"):
                answer = await self._asker.get("/historical/cutoff", "live")
                self._put([answer], None)
                self._cutoff = plan.cutoff_of(answer.body)
            for series_ticker in self._series:
                with self._refusals("discovery", series_ticker):
                    if await self._discover(series_ticker):
                        whole.append(series_ticker)
        except Unavailable:
            self._discovered(whole)
            raise
        self._discovered(whole)

    def _discovered(self, whole: Sequence[str]) -> None:
        self._tell_coverage(whole, ended_by="gap")
        self.checkpoint.kalshi_series_sync = {s: "done" if s in whole else "failed" for s in self._asked}
        self._save()

    async def _discover(self, series_ticker: str) -> bool:
        """Whether all of the series is listed; False where its settlement sources name another station."""
        now_s = self._now_s()
        answer = await self._asker.get(f"/series/{series_ticker}", "live")
        self._put([answer], series_ticker)
        self._tell_unresolved(series_ticker, "listing", self._unresolved.series(series_ticker, answer.body))
        if self._unresolved.concerns(series_ticker):
            return False
        events = plan.events(series_ticker, now_s - plan.LOOK_BACK_S, limit=self._limit)
        self._put(await self._asker.listing(events, "live"), series_ticker)
        pages = await self._asker.listing(plan.current_markets(series_ticker, now_s, limit=self._limit), "live")
        new = self._take_markets(series_ticker, pages)
        known = [k for k in self.checkpoint.markets.values() if k.series_ticker == series_ticker]
        self._on_metric("rest.discovery", series=series_ticker, pages=len(pages), markets=len(known), new=len(new))
        return True

    def _tell_coverage(self, whole: Iterable[str], *, ended_by: Literal["stop", "gap"]) -> None:
        """What this round listed is covered from here on; what it did not was covered until it was listed last."""
        now_ns = self._now_ns()
        for series_ticker in whole:
            self._listed_ns[series_ticker] = now_ns
            self._put_all(self._covers.begin(series_ticker, now_ns))
        for series_ticker in sorted(self._covers.subjects.difference(whole)):
            ended_ns = self._listed_ns[series_ticker]
            self._put_all(self._covers.end(series_ticker, ended_ns, now_ns, ended_by=ended_by))

    async def list_past(self) -> None:
        """The markets of the span, live and historical, and of the series' older names."""
        span = self._span
        assert span is not None
        for series_ticker in self._with_older_names():
            if self._unresolved.concerns(series_ticker):
                continue
            for listing in plan.past_markets(series_ticker, *span, limit=self._limit):
                with self._refusals("history", series_ticker):
                    pages = await self._asker.listing(listing, "backfill")
                    self._take_markets(series_ticker, pages, span)
            with self._refusals("history", series_ticker):
                pages = await self._asker.listing(
                    plan.events(series_ticker, span.from_s, limit=self._limit), "backfill"
                )
                self._put(pages, series_ticker)
        self._save()

    async def backfill(self) -> None:
        """Trades of every market that is not done, its candles when it is final, its book while it is open."""
        for ticker in plan.due(self.checkpoint, self._now_s()):
            if self._unresolved.concerns(self.checkpoint.markets[ticker].series_ticker):
                continue
            with self._refusals("backfill", ticker):
                await self._fill(ticker)
        plan.forget(self.checkpoint, self._now_s() - KEEP_DONE_S)
        self._save()

    async def _fill(self, ticker: str) -> None:
        """What is missing of one market; each part is noted as soon as it stands on the log."""
        known = self.checkpoint.markets[ticker]
        pages = 0
        if not known.trades_final:
            pages = await self._trade(ticker, known)
            self._save()
        if known.final and not known.candles:
            await self._draw(ticker, known)
            known.candles = True
            self._save()
        elif known.status == "active":
            self._put([await self._asker.get(f"/markets/{ticker}/orderbook", "backfill")], ticker)
        self._on_metric("rest.backfill", market=ticker, pages=pages, done=known.done)

    async def _trade(self, ticker: str, known: Known) -> int:
        """The trades; of a final market all, again where they do not add up to its volume: a 200 alone proves nothing."""
        final = known.final
        for _ in range(LACKING_MAX if final else 1):
            now_s = self._now_s()
            answers = await self._asker.listing(
                plan.trades(ticker, known, self._cutoff, now_s, limit=self._limit), "backfill"
            )
            self._put(answers, ticker)
            if not final or plan.adds_up(known, [answer.body for answer in answers]):
                break
            self._on_metric("rest.incomplete", market=ticker, what="trades", volume=known.volume)
        else:
            self._tell_incomplete(ticker, "trade")
        known.trades_to_s, known.trades_final = now_s, final
        return len(answers)

    async def _draw(self, ticker: str, known: Known) -> None:
        """The candles of a final market, again where it traded and has none."""
        urls = plan.candles(ticker, known, self._cutoff)
        for _ in range(LACKING_MAX):
            answers = [await self._asker.get(url, "backfill") for url in urls]
            self._put(answers, ticker)
            if not plan.lacks_candles(known, [answer.body for answer in answers]):
                return
            self._on_metric("rest.incomplete", market=ticker, what="candles", volume=known.volume)
        self._tell_incomplete(ticker, "candles")

    def _tell_incomplete(self, subject: str, channel: Recorded) -> None:
        """A gap: the exchange's own words say that there is more than it lists, or cannot be read."""
        now_ns = self._now_ns()
        gap = GapNotice(
            source=SOURCE, conn=self._publisher.conn, sid=0, channel=channel, kind="incomplete", market_ticker=subject,
            from_seq=None, to_seq=None, clock_ns=now_ns,
        )  # fmt: skip
        self._put_all([Outgoing(gap, subject.encode("ascii", "backslashreplace"), now_ns)])

    def _put_all(self, outs: Sequence[Outgoing]) -> None:
        for out in outs:
            self._publisher.put(out)
        if outs:
            self._appender.flush(_FLUSH_S)

    async def clean(self) -> None:
        """Outcomes of markets that closed: asked one by one, where they live now."""
        waiting = plan.overdue(self.checkpoint, self._now_s())
        settled = 0
        for ticker in waiting:
            with self._refusals("closed_cleanup", ticker):
                answer = await self._market(ticker)
                self._put([answer], ticker)
                market = msgspec.json.decode(answer.body, type=_MarketAnswer).market
                plan.seen(self.checkpoint, self.checkpoint.markets[ticker].series_ticker, [market])
                settled += self.checkpoint.markets[ticker].final
        self._save()
        self._on_metric("rest.closed_cleanup", closed=len(waiting), settled=settled, waiting=len(waiting) - settled)

    async def _market(self, ticker: str) -> Answer:
        try:
            return await self._asker.get(f"/markets/{ticker}", "live")
        except Refusal as refusal:
            if refusal.answer.status != 404:  # noqa: PLR2004  # gone from the live endpoints after the cutoff
                raise
            return await self._asker.get(f"/historical/markets/{ticker}", "live")

    def _take_markets(self, series_ticker: str, pages: Sequence[Answer], span: Span | None = None) -> list[str]:
        """Note the markets of a whole listing, after its pages are on the log."""
        self._put(pages, series_ticker)
        listed = [raw for page in pages for raw in msgspec.json.decode(page.body, type=_Markets).markets]
        raws = []
        for raw in listed:
            try:
                ticker, reason = self._unresolved.market(series_ticker, raw)
                self._tell_unresolved(ticker, "trade", reason)
                if self._unresolved.concerns(ticker):
                    self.checkpoint.markets.pop(ticker, None)  # nothing more of it is asked for, by a later run neither
                elif plan.readable(raw):
                    raws.append(raw)
            except _FORMS as error:  # the others stand
                self._tell_incomplete(series_ticker, "listing")
                self._on_metric("rest.refused", round="markets", subject=series_ticker, detail=f"a market: {error}")
        if span is not None:
            raws = [raw for raw in raws if plan.closing_within(raw, *span)]
        return plan.seen(self.checkpoint, series_ticker, raws)

    def _tell_unresolved(self, subject: str, channel: Recorded, reason: str | None) -> None:
        """What is not fetched, since it would stand under the wrong station, is a gap; the parser refuses the market."""
        if reason is not None:
            self._tell_incomplete(subject, channel)
            self._on_metric("rest.unresolved", subject=subject, detail=reason)

    def _with_older_names(self) -> list[str]:
        older = [name for name, canonical in stations.RENAMED.items() if canonical in self._series]
        return [*self._series, *(name for name in older if name not in self._series)]

    def _put(self, answers: Sequence[Answer], key: str | None) -> None:
        """Append and wait for the log: what is noted afterwards stands there."""
        for answer in answers:
            headers = ((catalog.H_URL, answer.url.encode("ascii")), (catalog.H_STATUS, b"%d" % answer.status))
            out = Outgoing(answer.body, key.encode() if key else None, answer.received_ns, headers=headers)
            self._publisher.put(out)
        self._appender.flush(_FLUSH_S)

    @contextlib.contextmanager
    def _refusals(self, round_: str, subject: str) -> Iterator[None]:
        """A unit that the exchange refuses is told and stands on the log; the others go on.

        What we cannot read the parser may read, and so not refuse: a gap names what the unit was about.
        """
        unit = object()
        self._at_work[unit] = self._now_ns()
        try:
            yield
        except Refusal as refusal:
            self._put([refusal.answer], subject)
            self._on_metric("rest.refused", round=round_, subject=subject, detail=str(refusal))
        except _FORMS as error:
            self._tell_incomplete(subject, "listing")
            self._on_metric("rest.refused", round=round_, subject=subject, detail=f"unexpected answer: {error}")
        finally:
            del self._at_work[unit]

    def _save(self) -> None:
        checkpoint.save(self._path, self.checkpoint)

    def _now_s(self) -> int:
        return self._now_ns() // NS_PER_S


class _Markets(msgspec.Struct):
    markets: list[msgspec.Raw]


class _MarketAnswer(msgspec.Struct):
    market: msgspec.Raw
