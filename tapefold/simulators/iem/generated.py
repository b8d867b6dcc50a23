"""A made-up world, the same for the same seed: weather, forecasts that verify against it, late, missing and doubled runs.

Every value is drawn from a generator of its own that is seeded by what it is (station, day, run), so that no answer
depends on what was asked before. Climate days are local standard time, all year; the clocks of the reports' headlines
are civil, with daylight saving.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from tapefold.simulators.iem.holdings import Product, Row, Run
from tapefold.simulators.iem.texts import Report, row_of, text_of
from tapefold.simulators.scenario import NONE, Scenario
from topics.iem import STANDARD_OFFSET_S, day_of, promised, scheduled
from topics.stations import ZONES
from topics.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S

_LAG_H = {"GFS": 3.7, "MEX": 4.6, "NAM": 2.8, "LAV": 0.9, "NBS": 1.1, "NBE": 1.15}
_JITTER_MEAN_MIN = 4.0
_LATE_NS = 3 * NS_PER_HOUR
_CORRECTED_AFTER_NS = NS_PER_HOUR
_PRELIMINARY_H, _FINAL_H = 16.5, 25.3  # hours after the standard midnight with which a day begins
_SHORT = {"GFS", "NAM", "MEX"}


@dataclass(frozen=True)
class Chances:
    """Chances in [0, 1] that a run or a report has a flaw; drawn once for each by the seed. Raises ValueError.

    late: three hours after its time. missing: never. duplicate: each row twice. conflict: an hour later each row comes
    once more with another temperature. correction: the final report is followed by one with a higher maximum.
    """

    late: float = 0.0
    missing: float = 0.0
    duplicate: float = 0.0
    conflict: float = 0.0
    correction: float = 0.0

    def __post_init__(self) -> None:
        for name, chance in vars(self).items():
            if not 0 <= chance <= 1:
                raise ValueError(f"{name}: expected a chance from 0 to 1, was {chance}")


class Generated:
    """Stations with a known standard offset only. Raises ValueError for others.

    scenario: flaws of the runs, and of the final reports, of some time.
    """

    def __init__(self, stations: Sequence[str], *, seed: int, chances: Chances, scenario: Scenario = NONE) -> None:
        unknown = [station for station in stations if station not in STANDARD_OFFSET_S]
        if unknown:
            raise ValueError(f"expected stations of {', '.join(sorted(STANDARD_OFFSET_S))}, was {', '.join(unknown)}")
        self._stations = tuple(sorted(stations))
        self._seed = seed
        self._chances = chances
        self._scenario = scenario

    def stations(self) -> Sequence[str]:
        """As given, sorted."""
        return self._stations

    def truth(self, station: str, day_number: int) -> tuple[int, int]:
        """High and low of a climate day, whole degrees Fahrenheit. day_number: days since 1970-01-01."""
        climate = self._rng(station)
        middle, swing = climate.uniform(55, 78), climate.uniform(8, 22)
        season = -math.cos(2 * math.pi * (day_number % 365.25 - 15) / 365.25)
        weather = self._rng(station, day_number)
        high = round(middle + swing * season + weather.gauss(0, 5))
        return high, high - weather.randint(9, 22)

    def runs(self, station: str, model: str, from_ns: int, to_ns: int) -> Iterator[Run]:
        """The calendar's runs, but those that never come."""
        if station not in self._stations:
            return
        for run_ns in scheduled(model, from_ns, to_ns):
            rng = self._rng(station, model, run_ns, "run")
            missing, late, duplicate, conflict = (rng.random() for _ in range(4))
            lag_ns = int(_LAG_H[model] * NS_PER_HOUR + rng.expovariate(1 / _JITTER_MEAN_MIN) * NS_PER_MINUTE)
            if missing < self._chance("missing", run_ns):
                continue
            out_ns = run_ns + lag_ns + (_LATE_NS if late < self._chance("late", run_ns) else 0)
            rows = [self._row(station, model, run_ns, valid_ns) for valid_ns in promised(model, run_ns) or ()]
            if duplicate < self._chance("duplicate", run_ns):
                rows = [row for row in rows for _ in range(2)]
            yield Run(station, model, run_ns, out_ns, rows)
            if conflict < self._chance("conflict", run_ns):
                other = [{**row, "tmp": int(row["tmp"] or 0) + 1} for row in rows]
                yield Run(station, model, run_ns, out_ns + _CORRECTED_AFTER_NS, other)

    def products(self, station: str, from_ns: int, to_ns: int) -> Iterator[Product]:
        """A preliminary and a final report for each day; some finals are corrected."""
        if station not in self._stations:
            return
        first = max(0, from_ns // NS_PER_DAY - 3)
        found = [one for number in range(first, to_ns // NS_PER_DAY + 1) for one in self._of_day(station, number)]
        yield from sorted((one for one in found if from_ns <= one.issued_ns < to_ns), key=lambda one: one.issued_ns)

    def _of_day(self, station: str, number: int) -> Iterator[Product]:
        rng = self._rng(station, number, "reports")
        high, low = self.truth(station, number)
        so_far = high - rng.choice((0, 0, 0, 1, 2))
        start_ns = number * NS_PER_DAY - STANDARD_OFFSET_S[station] * NS_PER_S
        corrected = rng.random() < self._chance("correction", start_ns + int(_FINAL_H * NS_PER_HOUR))
        issues = [(_PRELIMINARY_H, so_far, "preliminary", ""), (_FINAL_H, high, "final", "")]
        if corrected:
            issues.append((_FINAL_H + 3, high + 1, "final", "CCA"))
        for hours, told_high, kind, group in issues:
            issued_ns = start_ns + int(hours * NS_PER_HOUR) + rng.randrange(20) * NS_PER_MINUTE
            zone = ZoneInfo(ZONES[station])
            report = Report(
                station=station,
                day=date.fromisoformat(day_of(number * NS_PER_DAY)),
                issued=datetime.fromtimestamp(issued_ns // NS_PER_S, UTC),
                local=datetime.fromtimestamp(issued_ns // NS_PER_S, zone),
                high=told_high,
                low=low,
                preliminary=kind == "preliminary",
                group=group,
            )
            out_ns = issued_ns + rng.randint(15, 90) * NS_PER_S
            yield Product(
                station, report.day.isoformat(), report.name, issued_ns, out_ns, row_of(report), text_of(report)
            )

    def _row(self, station: str, model: str, run_ns: int, valid_ns: int) -> Row:
        rng = self._rng(station, model, run_ns, valid_ns)
        lead_days = (valid_ns - run_ns) / NS_PER_DAY
        error = self._rng(station, model, run_ns, "error").gauss(0, 0.8 + 0.45 * lead_days)
        local_ns = valid_ns + STANDARD_OFFSET_S[station] * NS_PER_S
        number, hour = local_ns // NS_PER_DAY, local_ns % NS_PER_DAY / NS_PER_HOUR
        high, low = self.truth(station, number)
        share = 0.5 + 0.5 * math.cos(2 * math.pi * (hour - 15.5) / 24)
        tmp = round(low + (high - low) * share + error)
        row: Row = {
            "runtime": _stamp(run_ns),
            "ftime": _stamp(valid_ns),
            "station": station,
            "model": _label(model, run_ns),
            "tmp": tmp,
            "dpt": tmp - rng.randint(2, 18),
            "wdr": rng.randrange(0, 361, 10),
            "wsp": rng.randint(0, 18),
        }
        if model in _SHORT:
            row["cld"] = rng.choice(("CL", "FW", "SC", "BK", "OV"))
        else:
            row["sky"] = rng.randint(0, 100)
        utc_hour = valid_ns % NS_PER_DAY // NS_PER_HOUR
        if utc_hour in {0, 12} and model != "LAV":
            day_high, day_low = self.truth(station, valid_ns // NS_PER_DAY - (1 if utc_hour == 0 else 0))
            extreme = round((day_high if utc_hour == 0 else day_low) + error)
            if model in {"NBS", "NBE"}:
                row |= {"txn": extreme, "xnd": rng.randint(1, 4)}
            else:
                row["n_x"] = extreme
            row["p12"] = rng.randint(0, 100)
        return row

    def _chance(self, flaw: str, at_ns: int) -> float:
        return self._scenario.share(flaw, at_ns, getattr(self._chances, flaw))

    def _rng(self, *what: object) -> random.Random:
        return random.Random("/".join(map(str, (self._seed, *what))))  # noqa: S311  # a world, not a secret


def _label(model: str, run_ns: int) -> str:
    """The names of the models' early eras stand in the archive as they were."""
    if model == "GFS" and day_of(run_ns) < "2005-01-01":
        return "AVN"
    return "ETA" if model == "NAM" and day_of(run_ns) < "2009-01-01" else model


def _stamp(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S")
