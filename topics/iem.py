"""What is known of the Iowa Environmental Mesonet (IEM) as an upstream: models, eras, lags, stations. Data, with sources.

Run times are nominal: a 12Z run is public hours later, and IEM keeps no arrival times (its table has none, and the time
in a bulletin's header is nominal too). Hence the rules of `known_ns`, in this order:

- `observed`: we had asked before and it was not there, then it was: the receive stamp of the answer that had it.
- `modelled`: nominal time + the measured lag of (model, cycle), a quantile; stamped on the raw record by the producer.
- `assumed`: nominal time + the lag of `RUN_LAGS`; for climate reports the header's time + `REPORT_LAG_NS`.

The last two never exceed the receive stamp: what we hold is known.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

from topics.climate_day import from_iso, iso
from topics.events import KnownBy
from topics.stations import ZONES, standard_offset_s
from topics.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S
from topics.weather import Model, Seen

BASE_URL = "https://mesonet.agron.iastate.edu"
MODELS: tuple[Model, ...] = get_args(Model)
LABELS: dict[str, Model] = {model: model for model in MODELS} | {"AVN": "GFS", "ETA": "NAM"}


class Grid(NamedTuple):
    """Valid times that a whole run has at least: `steps` of them, each a multiple of `step_h` on the UTC clock.

    The first is the earliest that is at least `first_h` hours after the run. more: further ones, in hours after the run.
    """

    first_h: int
    step_h: int
    steps: int
    more: tuple[int, ...] = ()


class Era(NamedTuple):
    """Which runs of a model the archive has. since, until: ISO days of the run, UTC; until excluded, None: still."""

    model: Model
    since: str
    until: str | None
    cycles: tuple[int, ...]
    grid: Grid


_CARD = Grid(6, 3, 19, (66, 72))  # cards of the Meteorological Development Laboratory, weather.gov/mdl
_MEX = Grid(24, 12, 15)
_LAV = Grid(1, 1, 25)  # newer versions have 38
_NBS_21, _NBS_23 = Grid(4, 3, 21), Grid(4, 3, 23)  # bulletins of 2018-11-07, and of 2021-04-06
_NBE = Grid(24, 12, 13)

# IEM htdocs/mos/index.php; scripts/dbutil/clean_mos.py (other cycles of LAV and, until May 2026, of the NBM are purged
# after 7 days); IEM commit 58b90769c for May 2026; NWS Technical Procedures Bulletin 486 for the cycles of NAM.
ERAS: tuple[Era, ...] = (
    Era("GFS", "2003-12-16", None, (0, 6, 12, 18), _CARD),
    Era("NAM", "2008-12-09", None, (0, 12), _CARD),
    Era("MEX", "2020-07-12", None, (0, 12), _MEX),
    Era("LAV", "2020-07-12", None, (0, 6, 12, 18), _LAV),
    Era("NBS", "2018-11-07", "2020-02-26", (0, 7, 12, 19), _NBS_21),
    Era("NBS", "2020-02-26", "2021-04-06", (1, 7, 13, 19), _NBS_21),
    Era("NBS", "2021-04-06", "2026-05-05", (1, 7, 13, 19), _NBS_23),
    Era("NBS", "2026-05-05", None, (0, 6, 12, 18), _NBS_23),
    Era("NBE", "2020-07-23", "2026-05-05", (1, 7, 13, 19), _NBE),
    Era("NBE", "2026-05-05", None, (0, 6, 12, 18), _NBE),
)


class RunLag(NamedTuple):
    """From the nominal time to when a run may be used, where nothing was measured."""

    lag_ns: int
    source: str


RUN_LAGS: dict[str, RunLag] = {
    "GFS": RunLag(5 * NS_PER_HOUR, "runtime + 5 h, as a point-in-time project uses it; planning value 4 h"),
    "MEX": RunLag(6 * NS_PER_HOUR, "planning value 5 h, and one more; no published figure"),
    "NAM": RunLag(4 * NS_PER_HOUR, "planning value 3 h, and one more; no published figure"),
    "LAV": RunLag(2 * NS_PER_HOUR, "planning value 1 h, and one more; no published figure"),
    "NBS": RunLag(
        2 * NS_PER_HOUR, "NWS Service Change Notice 17-59: cycle + about 1 h on the satellite network; doubled"
    ),
    "NBE": RunLag(
        2 * NS_PER_HOUR, "NWS Service Change Notice 17-59: cycle + about 1 h on the satellite network; doubled"
    ),
}
# A climate report arrives seconds to minutes after the time in its header.
REPORT_LAG_NS = 10 * NS_PER_MINUTE

# Seconds to add to UTC for local standard time, all year: climate days know no daylight saving (NWS Instruction 10-1004).
STANDARD_OFFSET_S: dict[str, int] = {station: standard_offset_s(zone, 2026) for station, zone in ZONES.items()}
# Where the station is not listed: beyond these nobody in a state of the US is (Puerto Rico -4, Hawaii -10).
OFFSET_MAX_S, OFFSET_MIN_S = -4 * 3_600, -10 * 3_600


def era_of(model: str, run_ns: int) -> Era | None:
    """The era that a run of this time belongs to, whatever its cycle; None before the archive begins."""
    day = day_of(run_ns)
    for era in ERAS:
        if era.model == model and era.since <= day and (era.until is None or day < era.until):
            return era
    return None


def scheduled(model: str, from_ns: int, to_ns: int) -> Iterator[int]:
    """The runs that the archive keeps of a model, from `from_ns` to `to_ns`, both included, in order."""
    first_day = from_ns // NS_PER_DAY
    for day in range(first_day, to_ns // NS_PER_DAY + 1):
        start_ns = day * NS_PER_DAY
        era = era_of(model, start_ns)
        for cycle in () if era is None else era.cycles:
            run_ns = start_ns + cycle * NS_PER_HOUR
            if from_ns <= run_ns <= to_ns:
                yield run_ns


def promised(model: str, run_ns: int) -> tuple[int, ...] | None:
    """The valid times that a whole run has at least; None for a run that the calendar cannot know."""
    era = era_of(model, run_ns)
    if era is None or run_ns % NS_PER_HOUR:
        return None
    step_ns = era.grid.step_h * NS_PER_HOUR
    first_ns = -(-(run_ns + era.grid.first_h * NS_PER_HOUR) // step_ns) * step_ns
    return (
        *(first_ns + index * step_ns for index in range(era.grid.steps)),
        *(run_ns + hour * NS_PER_HOUR for hour in era.grid.more),
    )


def known_of_run(
    run_ns: int, received_ns: int, *, seen: Seen, lag_ns: int, lag_by: Literal["modelled", "assumed"]
) -> tuple[int, KnownBy]:
    """When a run's values may be used, and how we know; see the module's head."""
    if seen == "first":
        return received_ns, "observed"
    return min(received_ns, run_ns + lag_ns), lag_by


def known_of_report(issued_ns: int, received_ns: int, *, seen: Seen) -> tuple[int, KnownBy]:
    """When a climate report may be used, and how we know; see the module's head."""
    if seen == "first":
        return received_ns, "observed"
    return min(received_ns, issued_ns + REPORT_LAG_NS), "assumed"


def day_ends_ns(station: str, day: str) -> tuple[int, int]:
    """The earliest and the latest moment at which a climate day may end: equal where the station's offset is known.

    Raises ValueError for a day that is no ISO day.
    """
    after_ns = (from_iso(day) + 1) * NS_PER_DAY
    offset_s = STANDARD_OFFSET_S.get(station)
    east_s, west_s = (OFFSET_MAX_S, OFFSET_MIN_S) if offset_s is None else (offset_s, offset_s)
    return after_ns - east_s * NS_PER_S, after_ns - west_s * NS_PER_S


def day_of(time_ns: int) -> str:
    """The ISO day of a moment since 1970, UTC."""
    return iso(time_ns // NS_PER_DAY)
