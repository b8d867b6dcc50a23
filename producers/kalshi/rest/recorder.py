"""The loops: discovery, backfill, cleanup of closed markets.

What was asked for goes to the log as it came, whole or not at all; what is done is noted after the log has confirmed it.
No beats: minutes are closed by the socket's, and a source that tells of the past must not hold them up.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from producers.kalshi.rest import plan
from producers.kalshi.rest.asker import Asker, Refusal
from producers.kalshi.rest.door import Answer
from producers.kalshi.rest.plan import Checkpoint, Cutoff, Known
from producers.metrics import OnMetric
from producers.publish import Outgoing, Publisher
from topics import catalog, stations
from topics.domains import WEATHER_SERIES
from topics.errors import Unavailable
from topics.events import GapNotice
from topics.log import Appender
from topics.units import NS_PER_S

SOURCE = "kalshi.rest"
EDGE_CACHE_S = 15.0  # public answers may be this old: asking sooner brings the same
KEEP_DONE_S = 30 * 86_400
LACKING_MAX = 3  # times that a listing is asked for which cannot be all
_FLUSH_S = 60.0
_FORMS = (msgspec.MsgspecError, ValueError)


class Span(NamedTuple):
    """Closing times [from_s, to_s), in Unix seconds."""

    from_s: int
    to_s: int


class Recorder:
    """Records some series. path: of the checkpoint. span: of the past to fetch, None for none. page_limit: items a page."""

    def __init__(
        self,
        asker: Asker,
        publisher: Publisher,
        appender: Appender,
        series: Sequence[str],
        *,
        path: Path,
        now_ns: Callable[[], int],
        on_metric: OnMetric,
        span: Span | None = None,
        page_limit: int = plan.PAGE_LIMIT,
    ) -> None:
        self._asker = asker
        self._publisher = publisher
        self._appender = appender
        self._series = series
        self._path = path
        self._now_ns = now_ns
        self._on_metric = on_metric
        self._span = span
        self._limit = page_limit
        self._cutoff = Cutoff()
        self.checkpoint = _read(path)

    async def run(self, stop: asyncio.Event, *, discovery_s: float, backfill_s: float, until_done: bool) -> None:
        """Until `stop`, or until all known markets are done. Raises StationUnresolved, Undelivered."""
        for series_ticker in self._series:
            if stations.is_weather(series_ticker):
                stations.resolve(series_ticker, known=WEATHER_SERIES)
        await self._guarded("discovery", self.discover)
        if self._span is not None:
            await self._guarded("history", self.list_past)
        if until_done:
            await self._guarded("cleanup", self.clean)
            await self._guarded("backfill", self.backfill)
            return
        loops = (
            self._every(stop, max(discovery_s, EDGE_CACHE_S), (self.discover, self.clean)),
            self._every(stop, max(backfill_s, EDGE_CACHE_S), (self.backfill,)),
        )
        tasks = [asyncio.create_task(loop) for loop in (*loops, _until(stop))]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for task in done:
            task.result()

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
        with self._refusals("discovery", "cutoff"):
            answer = await self._asker.get("/historical/cutoff", "live")
            self._put([answer], None)
            self._cutoff = plan.cutoff_of(answer.body)
        for series_ticker in self._series:
            now_s = self._now_s()
            with self._refusals("discovery", series_ticker):
                answer = await self._asker.get(f"/series/{series_ticker}", "live")
                self._put([answer], series_ticker)
                self._check_station(series_ticker, answer.body)
                self._put(
                    await self._asker.listing(
                        plan.events(series_ticker, now_s - plan.LOOK_BACK_S, limit=self._limit), "live"
                    ),
                    series_ticker,
                )
                pages = await self._asker.listing(plan.current_markets(series_ticker, now_s, limit=self._limit), "live")
                new = self._take_markets(series_ticker, pages)
                known = [k for k in self.checkpoint.markets.values() if k.series_ticker == series_ticker]
                self._on_metric(
                    "rest.discovery", series=series_ticker, pages=len(pages), markets=len(known), new=len(new)
                )
        self._save()

    async def list_past(self) -> None:
        """The markets of the span, live and historical, and of the series' older names."""
        span = self._span
        assert span is not None
        for series_ticker in self._with_older_names():
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
            self._publisher.put(self._incomplete(ticker))
            self._appender.flush(_FLUSH_S)
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

    def _incomplete(self, ticker: str) -> Outgoing:
        """The exchange itself says that there were more trades than it lists."""
        now_ns = self._now_ns()
        gap = GapNotice(
            source=SOURCE, conn=self._publisher.conn, sid=0, channel="trade", kind="incomplete", market_ticker=ticker,
            from_seq=None, to_seq=None, clock_ns=now_ns,
        )  # fmt: skip
        return Outgoing(gap, ticker.encode("ascii"), now_ns)

    async def clean(self) -> None:
        """Outcomes of markets that closed: asked one by one, where they live now."""
        waiting = plan.overdue(self.checkpoint, self._now_s())
        settled = 0
        for ticker in waiting:
            with self._refusals("closed_cleanup", ticker):
                answer = await self._market(ticker)
                self._put([answer], ticker)
                body = msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])
                plan.seen(self.checkpoint, self.checkpoint.markets[ticker].series_ticker, [body["market"]])
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
        raws = [raw for page in pages for raw in msgspec.json.decode(page.body, type=_Markets).markets]
        if span is not None:
            raws = [raw for raw in raws if plan.closing_within(raw, *span)]
        return plan.seen(self.checkpoint, series_ticker, raws)

    def _check_station(self, series_ticker: str, body: bytes) -> None:
        """Hold the registry against the exchange's own word. Raises StationUnresolved."""
        if series_ticker in WEATHER_SERIES:
            said = msgspec.json.decode(body, type=_SeriesAnswer).series
            urls = tuple(source.url for source in said.settlement_sources or () if source.url)
            stations.resolve(series_ticker, settlement_urls=urls, known=WEATHER_SERIES)

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
        """A unit that the exchange refuses is told and stands on the log; the others go on."""
        try:
            yield
        except Refusal as refusal:
            self._put([refusal.answer], subject)
            self._on_metric("rest.refused", round=round_, subject=subject, detail=str(refusal))
        except _FORMS as error:
            self._on_metric("rest.refused", round=round_, subject=subject, detail=f"unexpected answer: {error}")

    def _save(self) -> None:
        part = self._path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(self.checkpoint))
        part.replace(self._path)

    def _now_s(self) -> int:
        return self._now_ns() // NS_PER_S


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


class _Markets(msgspec.Struct):
    markets: list[msgspec.Raw]


class _Source(msgspec.Struct):
    url: str | None = None


class _Series(msgspec.Struct):
    settlement_sources: list[_Source] | None = None


class _SeriesAnswer(msgspec.Struct):
    series: _Series


def _read(path: Path) -> Checkpoint:
    """The checkpoint, a new one where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return msgspec.json.decode(path.read_bytes(), type=Checkpoint) if path.exists() else Checkpoint()
