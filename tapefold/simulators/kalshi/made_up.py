"""MADE-UP weather markets of whole days, the same for the same seed: what the exchange tells by socket and by REST. Pure.

They stand in one world with `tapefold.simulators.iem.generated`: an event's strikes lie around what could be expected of
its day, and it settles on what the day's climate reports say at the first 8 o'clock (Eastern, by the clock) after the
first final one; corrections that come later are ignored. A trade told by the socket is told by REST as well, with
microseconds. Every market's life is drawn from a generator of its own.

Times are those of live markets (read 2026-09-24): created 09:34Z and opened 14:00Z on the day before, closed at
midnight standard time at the end of the day, finalized an hour after the check.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import count

import msgspec

from tapefold.simulators.iem.generated import Chances, Generated
from tapefold.simulators.kalshi.archive import ROOT, Told
from tapefold.simulators.kalshi.candles import Candles
from tapefold.simulators.kalshi.contract import (
    TIMER_S,
    Day,
    Strike,
    created_frame,
    event_body,
    event_frame,
    market_body,
    rest_trade,
    series_body,
    strikes_of,
    time_text,
)
from tapefold.simulators.kalshi.trading import Market, Trader, levels_of, open_market
from tapefold.simulators.kalshi.world import Frames
from tapefold.simulators.scenario import Scenario
from topics.climate_day import from_iso, wall_ns
from topics.domains import WEATHER_SERIES
from topics.errors import Refused
from topics.iem import STANDARD_OFFSET_S
from topics.stations import WeatherSeries
from topics.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, NS_PER_S

_CREATED_NS = 9 * NS_PER_HOUR + 34 * NS_PER_MINUTE - NS_PER_DAY
_OPENED_NS = 14 * NS_PER_HOUR - NS_PER_DAY
_CHECK_ZONE, _CHECK_HOUR = "America/New_York", 8


class MadeUp:
    """All of it, in memory. pause_s: between two happenings of a market, on average. Raises Refused.

    lines: the recording of the socket, NDJSON, oldest first. told: what REST says, oldest first.
    """

    def __init__(
        self, series: Sequence[str], first: date, days: int, *, seed: int, weather: Generated, pause_s: float = 120.0
    ) -> None:
        self.told: list[Told] = []
        self.tickers: list[str] = []
        self._seed = seed
        self._weather = weather
        self._pause_s = pause_s
        self._frames: list[tuple[int, int, str, dict[str, object]]] = []
        self._order = count()
        events = [self._event(_known(name), first + timedelta(days=n)) for name in series for n in range(days)]
        if not events or pause_s <= 0:
            raise Refused(f"expected series, days and a pause to make up, were {list(series)}, {days} and {pause_s}")
        self.start_ns = min(event.created_ns for event in events)
        self.end_ns = max(event.check_ns for event in events) + TIMER_S * NS_PER_S
        for name in series:
            self._tell(self.start_ns, f"/series/{name}", {"series": series_body(_known(name), first)})
        for event in events:
            self._live(event)
        self.told.sort(key=lambda told: told.at_s)
        written = Frames(random.Random(f"{seed}/network"))  # noqa: S311  # a world, not a secret
        for at_ms, _, kind, msg in sorted(self._frames):
            written.put(at_ms, kind, msg)
        self.lines = written.lines

    def notices(self) -> Iterator[bytes]:
        """What a webhook tells of the markets: each change of a status, oldest first."""
        statuses: dict[str, object] = {}
        for told in self.told:
            market = msgspec.json.decode(told.body).get("market")
            if market is None or statuses.get(market["ticker"]) == market["status"]:
                continue
            statuses[market["ticker"]] = market["status"]
            data = {"id": market["ticker"], "object": "market"}
            data |= {name: market[name] for name in ("event_ticker", "status", "result", "expiration_value")}
            at = time_text(told.at_s * NS_PER_S)
            yield msgspec.json.encode({"type": f"market.{market['status']}", "timestamp": at, "data": data})

    def _event(self, series: WeatherSeries, day: date) -> Day:
        midnight_ns = from_iso(day.isoformat()) * NS_PER_DAY
        close_ns = midnight_ns + NS_PER_DAY - STANDARD_OFFSET_S[series.station.icao] * NS_PER_S
        check_ns, value_f = self._outcome(series, day, close_ns)
        ticker = f"{series.series_ticker}-{day:%y%b%d}".upper()
        return Day(
            series, day, ticker, midnight_ns + _CREATED_NS, midnight_ns + _OPENED_NS, close_ns, check_ns, value_f
        )

    def _outcome(self, series: WeatherSeries, day: date, close_ns: int) -> tuple[int, int]:
        """When the exchange looks, and what it sees."""
        reports = self._weather.products(series.station.icao, close_ns - 2 * NS_PER_DAY, close_ns + 7 * NS_PER_DAY)
        finals = [one for one in reports if one.day == day.isoformat() and one.issued_ns >= close_ns]
        number = from_iso(day.isoformat()) + 1
        while (check_ns := wall_ns(number, _CHECK_HOUR, _CHECK_ZONE)) < finals[0].issued_ns:
            number += 1
        seen = [one for one in finals if one.issued_ns <= check_ns]
        return check_ns, int(str(seen[-1].row[series.measure]))

    def _live(self, event: Day) -> None:
        rng = self._rng(event.ticker)
        truth = self._weather.truth(event.series.station.icao, from_iso(event.day.isoformat()))
        expected_f = truth[0 if event.series.measure == "high" else 1] + rng.gauss(0, 2)
        self._tell(event.created_ns, f"/events/{event.ticker}", {"event": event_body(event)})
        self._put(event.created_ns, "event_lifecycle", event_frame(event))
        for strike in strikes_of(event.ticker, round(expected_f) + rng.randint(-1, 1)):
            self.tickers.append(strike.ticker)
            self._trade(event, strike, max(3, min(97, round(100 * strike.chance(expected_f)))))

    def _trade(self, event: Day, strike: Strike, middle: int) -> None:
        rng = self._rng(strike.ticker)
        market = open_market(rng, strike.ticker, middle)
        candles = Candles()

        def put(kind: str, msg: dict[str, object]) -> None:
            self._put(trader.now_ms * NS_PER_MS, kind, msg)
            if kind == "trade":
                candles.traded(msg)
                self._tell(trader.now_ms * NS_PER_MS, "/markets/trades", {"trades": [rest_trade(msg, rng)]})

        trader = Trader(rng, put)
        self._say(event, strike, event.created_ns, market, status="initialized")
        self._put(event.created_ns, "market_lifecycle_v2", created_frame(event, strike))
        trader.now_ms = event.open_ns // NS_PER_MS
        trader.snapshot(market)
        told_ns = 0
        while trader.now_ms * NS_PER_MS < event.close_ns:
            if trader.now_ms * NS_PER_MS >= told_ns:
                self._say(event, strike, trader.now_ms * NS_PER_MS, market, status="active")
                told_ns = trader.now_ms * NS_PER_MS + NS_PER_HOUR
            trader.something(market)
            candles.seen(trader.now_ms, market)
            trader.now_ms += 1 + int(rng.expovariate(1 / self._pause_s) * 1_000)
        for end_s, body in candles.closed():
            path = f"/series/{event.series.series_ticker}/markets/{strike.ticker}/candlesticks"
            self._tell(end_s * NS_PER_S, path, {"ticker": strike.ticker, "candlesticks": [body]})
        self._settle(event, strike, market)

    def _settle(self, event: Day, strike: Strike, market: Market) -> None:
        self._say(event, strike, event.close_ns, market, status="closed")
        yes = strike.holds(event.value_f)
        outcome = {
            "result": "yes" if yes else "no",
            "expiration_value": f"{event.value_f}.00",
            "settlement_value_dollars": "1.0000" if yes else "0.0000",
        }
        self._say(event, strike, event.check_ns, market, status="determined", more=outcome)
        check_s = event.check_ns // NS_PER_S
        determined = {
            "market_ticker": strike.ticker, "event_type": "determined", "determination_ts": check_s,
            "result": outcome["result"], "settlement_value": outcome["settlement_value_dollars"],
        }  # fmt: skip
        self._put(event.check_ns, "market_lifecycle_v2", dict(determined))
        final_ns = event.check_ns + TIMER_S * NS_PER_S
        self._say(
            event, strike, final_ns, market, status="finalized", more=outcome | {"settlement_ts": time_text(final_ns)}
        )
        settled = {"market_ticker": strike.ticker, "event_type": "settled", "settled_ts": check_s + TIMER_S}
        self._put(final_ns, "market_lifecycle_v2", dict(settled))

    def _say(
        self,
        event: Day,
        strike: Strike,
        at_ns: int,
        market: Market,
        *,
        status: str,
        more: dict[str, str] | None = None,
    ) -> None:
        body = market_body(event, strike, market, status) | (more or {"result": "", "expiration_value": ""})
        self._tell(at_ns, f"/markets/{strike.ticker}", {"market": body})
        if status == "active":
            levels = {f"{side}_dollars": told for side, told in levels_of(market).items()}
            self._tell(at_ns, f"/markets/{strike.ticker}/orderbook", {"orderbook_fp": levels})

    def _tell(self, at_ns: int, path: str, body: dict[str, object]) -> None:
        self.told.append(Told(at_ns // NS_PER_S, ROOT + path, msgspec.json.encode(body)))

    def _put(self, at_ns: int, kind: str, msg: dict[str, object]) -> None:
        self._frames.append((at_ns // NS_PER_MS, next(self._order), kind, msg))

    def _rng(self, *what: object) -> random.Random:
        return random.Random("/".join(map(str, (self._seed, *what))))  # noqa: S311  # a world, not a secret


def _known(name: str) -> WeatherSeries:
    entry = WEATHER_SERIES.get(name)
    if entry is None or entry.station.icao not in STANDARD_OFFSET_S:
        raise Refused(f"--make-up: expected weather series such as KXHIGHNY, was {name!r}")
    return entry


def stations_of(series: Sequence[str]) -> list[str]:
    """The stations whose weather settles these series. Raises Refused."""
    return sorted({_known(name).station.icao for name in series})


def made_up_of(
    series: Sequence[str], first: date, days: int, *, seed: int, weather: Scenario, pause_s: float = 120.0
) -> MadeUp:
    """The markets of the world that `tapefold simulate iem` has with the same seed. weather: its scenario's flaws."""
    holdings = Generated(stations_of(series), seed=seed, chances=Chances(), scenario=weather)
    return MadeUp(series, first, days, seed=seed, weather=holdings, pause_s=pause_s)
