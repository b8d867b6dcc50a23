"""Minutes of TWS for tests, and a straight computation of their features that shares nothing with the project's SQL."""

import math
import random
import statistics
from collections.abc import Callable, Iterable
from typing import Any

from topics.events import Cause
from topics.tws import TwsBar
from topics.units import NS_PER_MINUTE, NS_PER_S
from topics.weather import Climate, Forecast

SATURDAY = 2_880  # minutes from the epoch to the first Saturday
RANKS = ("observed", "modelled", "assumed")
Known = dict[tuple[Any, ...], dict[int, "Held"]]


def telling(number: int, offset: int, close_e6: int, **over: Any) -> TwsBar:
    """A finished bar of that minute of the epoch, told two seconds after its end unless said otherwise."""
    end_ns = (number + 1) * NS_PER_MINUTE
    known_ns = over.pop("known_ns", end_ns + 2 * NS_PER_S)
    values: dict[str, Any] = {
        "symbol": "SPY", "what_to_show": "TRADES", "bar_size": "1 min", "use_rth": True, "con_id": 756_733,
        "event_ns": number * NS_PER_MINUTE, "end_ns": end_ns, "open_e6": close_e6, "high_e6": close_e6 + 30_000,
        "low_e6": close_e6 - 20_000, "close_e6": close_e6, "volume_e4": 10_000, "average_e6": None, "count": None,
        "finished": True, "told_by": "answer", "received_ns": known_ns, "known_ns": known_ns, "known_by": "observed",
        "cause": Cause("raw.tws", 0, offset), "conn": "tws",
    }  # fmt: skip
    return TwsBar(**(values | over))


def history(seed: int, first: int, minutes: int, **over: Any) -> list[TwsBar]:
    """Bars with holes, a long silence, corrections, some of them taken back, late tellings, odd prices and volumes."""
    rng = random.Random(seed)
    told: list[TwsBar] = []
    close = 100_000_000
    for number in range(first, first + minutes):
        close += rng.randrange(-200_000, 200_001, 10_000)
        if rng.random() < 0.15 or minutes // 2 < number - first < minutes // 2 + rng.choice([61, 75]):
            continue
        shown = rng.choice([0, -5_000_000]) if rng.random() < 0.02 else close
        volume = None if rng.random() < 0.1 else rng.randrange(0, 900_000, 10_000)
        bar = telling(number, len(told), shown, **({"volume_e4": volume} | over))
        told.append(bar)
        again_ns = bar.known_ns
        while rng.random() < 0.25:
            again_ns += rng.randrange(1, 3 * 3_600) * NS_PER_S
            values = {"volume_e4": volume, "known_by": rng.choice(RANKS), **over}
            told.append(telling(number, len(told), shown + rng.choice([0, 0, 10_000]), known_ns=again_ns, **values))
    return told


class Held:
    """What holds of a minute: the last content that was told, since the first telling of it after another one."""

    def __init__(self, tellings: Iterable[TwsBar]) -> None:
        in_order = sorted(tellings, key=lambda bar: (bar.known_ns, bar.cause.offset))
        self.bar = in_order[-1]
        self.since = self.bar
        for bar in reversed(in_order):
            if self._content(bar) != self._content(self.bar):
                break
            self.since = bar
        self.known_ns = self.since.known_ns
        self.rank = RANKS.index(self.since.known_by)
        self.rev = len(in_order)

    @staticmethod
    def _content(bar: TwsBar) -> tuple[Any, ...]:
        return bar.open_e6, bar.high_e6, bar.low_e6, bar.close_e6, bar.volume_e4, bar.average_e6, bar.count


def held(tellings: Iterable[TwsBar], known_ns: int) -> Known:
    """By contract and kind: minute number -> what held of it at that time."""
    by_minute: dict[tuple[Any, ...], dict[int, list[TwsBar]]] = {}
    for bar in tellings:
        if bar.known_ns <= known_ns:
            kind = (bar.symbol, bar.con_id, bar.what_to_show, bar.use_rth)
            by_minute.setdefault(kind, {}).setdefault(bar.event_ns // NS_PER_MINUTE, []).append(bar)
    return {kind: {number: Held(bars) for number, bars in of.items()} for kind, of in by_minute.items()}


def opened(bars: dict[int, Held], number: int) -> int:
    """The first minute of the session of a minute: before it an hour without bars, or Saturday's midnight."""
    while True:
        before = max((other for other in bars if number - 60 <= other < number), default=None)
        if before is None or (before - SATURDAY) // 10_080 != (number - SATURDAY) // 10_080:
            return number
        number = before


def change(bars: dict[int, Held], number: int, minutes: int) -> float | None:
    """Close over the close of so many minutes before, less one."""
    before = bars.get(number - minutes)
    if before is None or before.bar.close_e6 <= 0:
        return None
    return bars[number].bar.close_e6 / before.bar.close_e6 - 1


def price_features(bars: dict[int, Held], number: int) -> dict[str, Any]:
    """The features of one minute of one contract and kind, from what held."""
    here = bars[number].bar
    start = opened(bars, number)
    last_15 = [bars[n] for n in range(number - 14, number + 1) if n in bars]
    returns = [
        math.log(bars[n].bar.close_e6 / bars[n - 1].bar.close_e6)
        for n in range(number - 14, number + 1)
        if n in bars and n - 1 in bars and bars[n].bar.close_e6 > 0 and bars[n - 1].bar.close_e6 > 0
    ]
    volumes = [
        bars[n].bar.volume_e4 for n in range(number - 60, number) if n in bars and bars[n].bar.volume_e4 is not None
    ]
    spread = statistics.stdev(volumes) if len(volumes) >= 20 else 0
    z = None if not spread or here.volume_e4 is None else (here.volume_e4 - statistics.fmean(volumes)) / spread
    leans_on = [bars[n] for n in range(min(start, number - 60), number + 1) if n in bars]
    gap = 0
    while number != start and number - gap - 1 not in bars:
        gap += 1
    span = range(max(start, number - 14), number + 1)
    high, low = max(one.bar.high_e6 for one in last_15), min(one.bar.low_e6 for one in last_15)
    return {
        "return_1m": change(bars, number, 1),
        "return_5m": change(bars, number, 5),
        "return_15m": change(bars, number, 15),
        "realised_vol_15m": math.sqrt(sum(r * r for r in returns)) if len(returns) >= 10 else None,
        "range_1m": (here.high_e6 - here.low_e6) / here.close_e6 if here.close_e6 > 0 else None,
        "range_15m": (high - low) / here.close_e6 if here.close_e6 > 0 else None,
        "volume_z_60m": z,
        "gap_1m": gap > 0,
        "gap_minutes": gap,
        "missing_15m": sum(n not in bars for n in span),
        "minutes_since_open": number - start,
        "known_ns": max(one.known_ns for one in leans_on),
        "known_by": RANKS[max(one.rank for one in leans_on)],
    }


def weather_features(
    forecasts: Iterable[Forecast],
    reports: Iterable[Climate],
    end_ns: int,
    target: tuple[str, int, Callable[[str], int]],
) -> dict[str, Any]:
    """What was known at `end_ns` of the maximum of a day (ISO, its valid time, day to number), by brute force."""
    day, valid_ns, number_of = target
    newest, changes, used = [], [], []
    for model in {f.model for f in forecasts}:
        told: dict[tuple[int, str], Forecast] = {}
        for f in forecasts:
            if f.model == model and f.event_ns == valid_ns and f.known_ns <= end_ns and f.n_x_f is not None:
                before = told.get((f.run_ns, f.revision))
                if before is None or (f.known_ns, f.cause.offset) < (before.known_ns, before.cause.offset):
                    told[f.run_ns, f.revision] = f
        runs = sorted(told.values(), key=lambda f: (f.run_ns, f.known_ns, f.revision))
        if runs:
            newest.append(runs[-1].n_x_f)
            used.append(runs[-1])
            earlier = [f for f in runs if f.run_ns < runs[-1].run_ns]
            changes += [runs[-1].n_x_f - earlier[-1].n_x_f] if earlier else []
    known = [report for report in reports if report.known_ns <= end_ns]
    of_day = max((r for r in known if r.day == day), key=lambda r: (r.issued_ns, r.product, r.known_ns), default=None)
    normals = [r for r in known if r.high_normal_f is not None and 0 <= number_of(day) - number_of(r.day) <= 10]
    normal = max(normals, key=lambda r: (r.day, r.known_ns), default=None)
    return {
        "models": len(newest),
        "forecast_mean_f": statistics.fmean(newest) if newest else None,
        "forecast_spread_f": max(newest) - min(newest) if newest else None,
        "run_change_f": statistics.fmean(changes) if changes else None,
        "newest_run_ns": max((f.run_ns for f in used), default=None),
        "forecast_known_ns": max((f.known_ns for f in used), default=None),
        "reported_f": None if of_day is None else of_day.high_f,
        "report": None if of_day is None else of_day.report,
        "normal_f": None if normal is None else normal.high_normal_f,
        "normal_date_local": None if normal is None else normal.day,
    }
