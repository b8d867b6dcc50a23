"""Features of one minute, said again in Python: what `features_price_1m_of` and `features_weather_of` say in SQL. Pure.

The views serve, this explains: a row of theirs is held against what its inputs give here. Rows are columns by name, in the
units of the log (prices e6, sizes e4, times in nanoseconds, days as ISO dates); floats are those of the definitions.
"""

import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from topics.climate_day import day_of, from_iso, iso
from topics.events import Cause, KnownBy
from topics.kalshi_rest import MarketTerms
from topics.stations import Measure
from topics.tws import TwsMinute
from topics.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S
from topics.weather import Climate, Forecast

Row = dict[str, Any]
MODELS = ("GFS", "MEX", "NAM", "NBS", "NBE")
NORMAL_DAYS = 10  # a normal of so many days before the day asked for is good enough: normals change little
SESSION_GAP = 60  # minutes without a bar after which a session is over
_WEEK, _SATURDAY = 10_080, 2_880  # minutes; from the epoch to its first Saturday
_RETURNS_MIN, _VOLUMES_MIN = 10, 20
RANKS: tuple[KnownBy, ...] = ("observed", "modelled", "assumed")


class Asked(NamedTuple):
    """Which value of which day is asked for, and when. day: days since the epoch. offset_s: of the station's standard time."""

    station: str
    measure: Measure
    day: int
    end_ns: int
    offset_s: int


Bars = Mapping[int, TwsMinute]  # by minute since the epoch, all of one contract and kind


def _place(cause: Cause) -> tuple[str, int, int, int]:
    return cause.topic, cause.partition, cause.offset, cause.index


def opened(bars: Bars, number: int) -> int:
    """The first minute of the session of a minute: before it an hour without a bar, or Saturday's midnight (UTC)."""
    while True:
        before = previous(bars, number)
        if before is None or (before - _SATURDAY) // _WEEK != (number - _SATURDAY) // _WEEK:
            return number
        number = before


def previous(bars: Bars, number: int) -> int | None:
    """The bar before a minute, None when there is none within the hour."""
    return next((other for other in range(number - 1, number - SESSION_GAP - 1, -1) if other in bars), None)


def price_row(bars: Bars, number: int) -> Row:
    """The price features of a minute that has a bar."""
    here, start = bars[number], opened(bars, number)
    close = here.close_e6
    last_15 = [bars[each] for each in range(number - 14, number + 1) if each in bars]
    returns = [
        math.log(bars[each].close_e6 / bars[each - 1].close_e6)
        for each in range(number - 14, number + 1)
        if each in bars and each - 1 in bars and bars[each].close_e6 > 0 and bars[each - 1].close_e6 > 0
    ]
    span = max(one.high_e6 for one in last_15) - min(one.low_e6 for one in last_15)
    leans_on = [bars[each] for each in range(min(start, number - SESSION_GAP), number + 1) if each in bars]
    gap = 0 if number == start else number - 1 - (previous(bars, number) or number)
    return {
        "symbol": here.symbol,
        "minute": here.minute_ns,
        "close": close,
        "return_1m": _change(bars, number, 1),
        "return_5m": _change(bars, number, 5),
        "return_15m": _change(bars, number, 15),
        "realised_vol_15m": math.sqrt(sum(r * r for r in returns)) if len(returns) >= _RETURNS_MIN else None,
        "range_1m": (here.high_e6 - here.low_e6) / close if close > 0 else None,
        "range_15m": span / close if close > 0 else None,
        "volume": here.volume_e4,
        "volume_z_60m": _volume_z(bars, number),
        "gap_1m": gap > 0,
        "gap_minutes": gap,
        "missing_15m": sum(each not in bars for each in range(max(start, number - 14), number + 1)),
        "minutes_since_open": number - start,
        "known_at": max(one.known_ns for one in leans_on),
        "known_by": RANKS[max(RANKS.index(one.known_by) for one in leans_on)],
    }


def _change(bars: Bars, number: int, minutes: int) -> float | None:
    before = bars.get(number - minutes)
    return None if before is None or before.close_e6 <= 0 else bars[number].close_e6 / before.close_e6 - 1


def _volume_z(bars: Bars, number: int) -> float | None:
    hour = [bars[each].volume_e4 for each in range(number - 60, number) if each in bars]
    volumes = [volume for volume in hour if volume is not None]
    volume = bars[number].volume_e4
    if volume is None or len(volumes) < _VOLUMES_MIN or len(set(volumes)) == 1:
        return None
    return (volume - statistics.fmean(volumes)) / statistics.stdev(volumes)


class Run(NamedTuple):
    """A value of a run. Compared as a tuple: of one run the one known last is the larger."""

    run_ns: int
    known_ns: int
    revision: str
    place: tuple[str, int, int, int]
    value_f: int


def runs_of(asked: Asked, forecasts: Iterable[Forecast]) -> dict[str, dict[Run, Forecast]]:
    """By model the values of the day asked for, known or not, each content by its first telling."""
    hour = 0 if asked.measure == "high" else 12
    first: dict[tuple[str, int, str], tuple[Run, Forecast]] = {}
    for fact in forecasts:
        value_f = fact.n_x_f if fact.n_x_f is not None else fact.txn_f
        if fact.model not in MODELS or fact.station != asked.station or value_f is None or fact.event_ns <= fact.run_ns:
            continue
        if fact.event_ns % NS_PER_DAY != hour * NS_PER_HOUR or day_of(fact.event_ns, asked.offset_s) != asked.day:
            continue
        run = Run(fact.run_ns, max(fact.known_ns, fact.run_ns), fact.revision, _place(fact.cause), value_f)
        key = (fact.model, fact.run_ns, fact.revision)
        if key not in first or run[1:] < first[key][0][1:]:
            first[key] = (run, fact)
    found: dict[str, dict[Run, Forecast]] = {}
    for (model, _, _), (run, fact) in first.items():
        found.setdefault(model, {})[run] = fact
    return found


def used_runs(asked: Asked, found: Mapping[str, Iterable[Run]]) -> dict[str, tuple[Run, Run | None]]:
    """By model the newest known run, and the newest of an earlier nominal time."""
    used: dict[str, tuple[Run, Run | None]] = {}
    for model, all_runs in found.items():
        known = sorted((run for run in all_runs if run.known_ns <= asked.end_ns), reverse=True)
        if known:
            used[model] = known[0], next((run for run in known if run.run_ns < known[0].run_ns), None)
    return used


def forecast_row(used: Mapping[str, tuple[Run, Run | None]]) -> Row:
    """What the newest known runs say of the day, over all models that have one."""
    values = [newest.value_f for newest, _ in used.values()]
    changes = [newest.value_f - before.value_f for newest, before in used.values() if before is not None]
    return {
        "models": len(used),
        "forecast_mean_f": statistics.fmean(values) if values else None,
        "forecast_spread_f": float(max(values) - min(values)) if values else None,
        "run_change_f": statistics.fmean(changes) if changes else None,
        "newest_run_at": max((newest.run_ns for newest, _ in used.values()), default=None),
        "forecast_known_at": max((newest.known_ns for newest, _ in used.values()), default=None),
    }


def lead_hours(asked: Asked, used: Mapping[str, object]) -> float | None:
    """Hours from the minute's end to the valid time of the value asked for; None without a run."""
    hour = 0 if asked.measure == "high" else 12
    midnight_ns = asked.day * NS_PER_DAY - asked.offset_s * NS_PER_S
    valid_ns = midnight_ns + (hour * NS_PER_HOUR - midnight_ns) % NS_PER_DAY
    return (valid_ns - asked.end_ns) / NS_PER_HOUR if used else None


def reports_of(station: str, reports: Iterable[Climate]) -> list[Climate]:
    """Each content of each product by its first telling, as the table `climate` keeps them."""
    first: dict[tuple[str, str, str], Climate] = {}
    for fact in reports:
        key = (fact.day, fact.product, fact.revision)
        if fact.station == station and (key not in first or _known_place(fact) < _known_place(first[key])):
            first[key] = fact
    return list(first.values())


def _known_place(fact: Climate) -> tuple[int, tuple[str, int, int, int]]:
    return fact.known_ns, _place(fact.cause)


def report_used(asked: Asked, reports: Iterable[Climate]) -> Climate | None:
    """The latest issue among the known reports of the day."""
    known = [fact for fact in reports if fact.known_ns <= asked.end_ns and fact.day == iso(asked.day)]
    return max(known, key=lambda fact: (fact.issued_ns, fact.product, fact.known_ns, fact.revision), default=None)


def normal_used(asked: Asked, reports: Iterable[Climate]) -> Climate | None:
    """The known report with normals of the latest day up to the one asked for."""
    known = [
        fact
        for fact in reports
        if fact.known_ns <= asked.end_ns
        and fact.high_normal_f is not None
        and fact.low_normal_f is not None
        and 0 <= asked.day - from_iso(fact.day) <= NORMAL_DAYS
    ]
    return max(known, key=lambda fact: (fact.day, fact.known_ns, fact.product, fact.revision), default=None)


def report_row(asked: Asked, report: Climate | None) -> Row:
    """What the report says so far."""
    value = None if report is None else (report.high_f if asked.measure == "high" else report.low_f)
    return {"reported_f": value, "report": None if report is None else report.report}


def normal_row(asked: Asked, normal: Climate | None) -> Row:
    """The normal, and of which day it is."""
    value = None if normal is None else (normal.high_normal_f if asked.measure == "high" else normal.low_normal_f)
    return {"normal_f": value, "normal_date_local": None if normal is None else normal.day}


class Close(NamedTuple):
    """An announced close. Compared as a tuple: the largest known one holds."""

    known_ns: int
    close_ns: int


def close_of(fact: Any) -> Close | None:
    """The close that an announcement or a contract tells, None where it tells none."""
    if isinstance(fact, MarketTerms):
        return None if fact.close_ns is None else Close(fact.known_ns, fact.close_ns)
    return None if fact.close_ts is None else Close(fact.known_ns, fact.close_ts * NS_PER_S)


def close_used(end_ns: int, closes: Iterable[Close]) -> Close | None:
    """The close that was announced last by then."""
    return max((close for close in closes if close.known_ns <= end_ns), default=None)


def measure_of(series_ticker: str) -> Literal["high", "low"]:
    """As the view names it: by the word in the series' name."""
    return "low" if "LOW" in series_ticker else "high"


def asked_by_symbol(about: tuple[str, Measure, int, int], number: int) -> Asked:
    """What a symbol asks in a minute. about: station, measure, days ahead, seconds that standard time is ahead of UTC."""
    station, measure, days_ahead, offset_s = about
    end_ns = (number + 1) * NS_PER_MINUTE
    return Asked(station, measure, day_of(end_ns - 1, offset_s) + days_ahead, end_ns, offset_s)
