"""A made-up event, its contracts, and what the exchange says of them: REST's objects and the socket's messages. Pure."""

import math
import random
from datetime import UTC, date, datetime
from typing import NamedTuple

from tapefold.simulators.kalshi.trading import Market, quotes
from topics.climate_day import from_iso
from topics.stations import WeatherSeries
from topics.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_S

TWC_SINCE = date(2026, 8, 14)
TIMER_S = 3_600
_EXPECTED_NS, _LATEST_NS = NS_PER_DAY + 19 * NS_PER_HOUR, 7 * NS_PER_DAY + 14 * NS_PER_HOUR
_BINS = 4  # of two degrees, between the two tails
_SPREAD_F = 3.0  # standard deviation of what the market thinks of the day


class Strike(NamedTuple):
    """One contract of an event. Whole degrees: at most `cap_f` - 1, at least `floor_f` + 1, or both ends included."""

    ticker: str
    kind: str
    floor_f: int | None
    cap_f: int | None

    def holds(self, value_f: int) -> bool:
        """Whether it resolves to yes."""
        if self.kind == "between":
            return self.floor_f is not None and self.cap_f is not None and self.floor_f <= value_f <= self.cap_f
        return value_f < self.cap_f if self.cap_f is not None else value_f > (self.floor_f or 0)

    def chance(self, expected_f: float) -> float:
        """What a market gives it that expects this value."""
        least = self.floor_f if self.kind == "between" else None if self.floor_f is None else self.floor_f + 1
        most = self.cap_f if self.kind == "between" else None if self.cap_f is None else self.cap_f - 1
        below = 0.0 if least is None else _normal((least - 0.5 - expected_f) / _SPREAD_F)
        return (1.0 if most is None else _normal((most + 0.5 - expected_f) / _SPREAD_F)) - below

    def words(self) -> str:
        """As the rules say it."""
        if self.kind == "between":
            return f"between {self.floor_f}-{self.cap_f}°"
        return f"less than {self.cap_f}°" if self.kind == "less" else f"greater than {self.floor_f}°"


class Day(NamedTuple):
    """An event and its times, in nanoseconds."""

    series: WeatherSeries
    day: date
    ticker: str
    created_ns: int
    open_ns: int
    close_ns: int
    check_ns: int
    value_f: int


def strikes_of(event: str, middle_f: int) -> list[Strike]:
    """Two tails and four bins between them, around a value: exactly one holds whatever comes."""
    first = middle_f - _BINS
    bins = [(first + 2 * n, first + 2 * n + 1) for n in range(_BINS)]
    between = [Strike(f"{event}-B{low}.5", "between", low, high) for low, high in bins]
    last = bins[-1][1]
    return [
        Strike(f"{event}-T{first}", "less", None, first),
        *between,
        Strike(f"{event}-T{last}", "greater", last, None),
    ]


def series_body(series: WeatherSeries, day: date) -> dict[str, object]:
    """REST's series. day: whose settlement source it names."""
    return {
        "ticker": series.series_ticker,
        "title": f"{series.measure.title()} temperature of {series.station.icao}",
        "frequency": "daily",
        "category": "Climate and Weather",
        "categories": ["Climate and Weather"],
        "settlement_sources": _sources(series, day),
        "contract_url": "https://example.invalid/contract.pdf",
        "contract_terms_url": "https://example.invalid/terms.pdf",
        "fee_type": "quadratic",
        "fee_multiplier": 1,
    }


def _sources(series: WeatherSeries, day: date) -> list[dict[str, str]]:
    if day >= TWC_SINCE:
        return [{"name": "The Weather Company", "url": "https://weather.com/kalshi"}]
    url = f"https://forecast.weather.gov/product.php?site=NWS&product=CLI&issuedby={series.station.cli}"
    return [{"name": "National Weather Service", "url": url}]


def event_body(event: Day) -> dict[str, object]:
    """REST's event."""
    return {
        "event_ticker": event.ticker,
        "series_ticker": event.series.series_ticker,
        "title": _title(event),
        "sub_title": f"On {event.day:%b} {event.day.day}, {event.day.year}",
        "collateral_return_type": "MECNET",
        "mutually_exclusive": True,
        "category": "Climate and Weather",
        "strike_date": time_text(event.close_ns),
        "settlement_sources": _sources(event.series, event.day),
    }


def event_frame(event: Day) -> dict[str, object]:
    """The socket's `event_lifecycle`."""
    body = event_body(event)
    kept = ("event_ticker", "title", "collateral_return_type", "series_ticker")
    return {
        **{name: body[name] for name in kept},
        "subtitle": body["sub_title"],
        "exchange_index": 0,
        "strike_date": event.close_ns // NS_PER_S,
    }


def created_frame(event: Day, strike: Strike) -> dict[str, object]:
    """The socket's `market_lifecycle_v2` of a new contract."""
    about = {
        "name": strike.words(), "title": _title(event), "yes_sub_title": strike.words(), "no_sub_title": strike.words(),
        "rules_primary": _rules(event, strike), "rules_secondary": "", "can_close_early": True,
        "event_ticker": event.ticker, "expected_expiration_ts": (event.close_ns + TIMER_S * NS_PER_S) // NS_PER_S,
        **_bounds(strike),
    }  # fmt: skip
    return {
        "market_ticker": strike.ticker,
        "event_type": "created",
        "exchange_index": 0,
        "open_ts": event.open_ns // NS_PER_S,
        "close_ts": event.close_ns // NS_PER_S,
        "price_level_structure": "linear_cent",
        "additional_metadata": about,
    }


def market_body(event: Day, strike: Strike, market: Market, status: str) -> dict[str, object]:
    """REST's market, but for its outcome."""
    midnight_ns = from_iso(event.day.isoformat()) * NS_PER_DAY
    told = quotes(market)
    return {
        "ticker": strike.ticker,
        "event_ticker": event.ticker,
        "market_type": "binary",
        "title": _title(event),
        "yes_sub_title": strike.words(),
        "no_sub_title": strike.words(),
        "created_time": time_text(event.created_ns),
        "updated_time": time_text(event.created_ns),
        "open_time": time_text(event.open_ns),
        "close_time": time_text(event.close_ns),
        "expected_expiration_time": time_text(midnight_ns + _EXPECTED_NS),
        "latest_expiration_time": time_text(midnight_ns + _LATEST_NS),
        "settlement_timer_seconds": TIMER_S,
        "status": status,
        **told,
        "volume_24h_fp": told["volume_fp"],
        "open_interest_fp": told["volume_fp"],
        "last_price_dollars": f"0.{market.last:02d}00",
        "can_close_early": True,
        "notional_value_dollars": "1.0000",
        "settlement_bounds_type": "default",
        "rules_primary": _rules(event, strike),
        "rules_secondary": "",
        "price_level_structure": "linear_cent",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        **_bounds(strike),
    }


def _bounds(strike: Strike) -> dict[str, object]:
    told: dict[str, object] = {"strike_type": strike.kind, "floor_strike": strike.floor_f, "cap_strike": strike.cap_f}
    return {name: value for name, value in told.items() if value is not None}


def _title(event: Day) -> str:
    return f"{event.series.measure.title()} temperature of {event.series.station.icao} on {event.day.isoformat()}?"


def _rules(event: Day, strike: Strike) -> str:
    extreme = "maximum" if event.series.measure == "high" else "minimum"
    source = (
        "according to The Weather Company"
        if event.day >= TWC_SINCE
        else "as reported by the National Weather Service's Climatological Report (Daily)"
    )
    return (
        f"If the {extreme} temperature recorded at {event.series.station.icao} (CLI{event.series.station.cli}) for "
        f"{event.day:%b} {event.day.day}, {event.day.year}, is {strike.words()} fahrenheit {source}, "
        "then the market resolves to Yes."
    )


def rest_trade(msg: dict[str, object], rng: random.Random) -> dict[str, object]:
    """REST's telling of a trade of the socket: other names, and microseconds."""
    kept = {name: msg[name] for name in msg if name not in {"market_ticker", "ts", "ts_ms"}}
    at_ms = int(str(msg["ts_ms"]))
    moment = datetime.fromtimestamp(at_ms // 1_000, UTC)
    micros = at_ms % 1_000 * 1_000 + rng.randrange(1_000)
    return {**kept, "ticker": msg["market_ticker"], "created_time": f"{moment:%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"}


def time_text(time_ns: int) -> str:
    """`2026-03-08T05:00:00Z`."""
    return f"{datetime.fromtimestamp(time_ns // NS_PER_S, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _normal(at: float) -> float:
    return 0.5 * (1 + math.erf(at / math.sqrt(2)))
