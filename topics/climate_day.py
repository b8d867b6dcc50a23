"""Climate days: midnight to midnight in local STANDARD time, all year; with summer time 01:00 to 01:00 by the clock.

The climate report (CLI) heads its times "(LST)", and its day is the one that the markets name. A day is a whole number of
days since the epoch; `iso` and `from_iso` turn it into `2026-04-11` and back. Model output has windows of its own:
the value at 00Z is the maximum of the US local day that is ending, the one at 12Z the minimum of the one that begins.
"""

from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from topics.domains import STATION_BY_SERIES, ZONE_BY_STATION
from topics.stations import standard_offset_s
from topics.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_S

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=1_024)  # one entry per station
def offset_of(station: str) -> int | None:
    """Seconds that the station's standard time is ahead of UTC, None for a station that no series has.

    None of these zones has changed its standard time since model output began in 2003 (tests look at each year).
    """
    zone = ZONE_BY_STATION.get(station)
    return None if zone is None else standard_offset_s(zone, 2026)


@lru_cache(maxsize=1_024)  # one entry per station
def series_of_station(station: str) -> tuple[str, ...]:
    """The weather series that settle on a station, sorted."""
    return tuple(sorted(series for series, its in STATION_BY_SERIES.items() if its == station))


def day_of(event_ns: int, offset_s: int) -> int:
    """The climate day that holds a moment."""
    return (event_ns + offset_s * NS_PER_S) // NS_PER_DAY


def bounds_ns(day: int, offset_s: int) -> tuple[int, int]:
    """The day is [start, end), in nanoseconds UTC."""
    start_ns = day * NS_PER_DAY - offset_s * NS_PER_S
    return start_ns, start_ns + NS_PER_DAY


@lru_cache(maxsize=16_384)  # forty years
def iso(day: int) -> str:
    """20554 -> `2026-04-11`."""
    return date.fromordinal(_EPOCH_ORDINAL + day).isoformat()


def from_iso(text: str) -> int:
    """`2026-04-11` -> 20554. Raises ValueError."""
    return date.fromisoformat(text).toordinal() - _EPOCH_ORDINAL


def utc_hour(event_ns: int) -> int:
    """The hour of the UTC day."""
    return event_ns % NS_PER_DAY // NS_PER_HOUR


def wall_ns(day: int, hour: int, zone: str) -> int:
    """The moment at which the clock of `zone` (summer time and all) shows `hour` o'clock on a calendar day."""
    local = datetime.combine(date.fromordinal(_EPOCH_ORDINAL + day), datetime.min.time(), ZoneInfo(zone))
    return int(local.replace(hour=hour).astimezone(UTC).timestamp()) * NS_PER_S
