"""What to ask for: days of symbols, and when. Pure: the time is an argument.

A unit is one symbol's day from midnight to midnight in the exchange's zone. `1 D` asks TWS for a day that ends at the
given moment; where the clock is put back a day has 25 hours, and two are asked for.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from topics.errors import Refused, SettingsError
from topics.tws import TwsRequest, WhatToShow
from topics.units import NS_PER_S

DAYS_MAX = 10_000
_DAY_S = 86_400
_SATURDAY = 5


class Unit(Struct, frozen=True, order=True):
    """One symbol's day. date: as the exchange counts days, YYYY-MM-DD."""

    date: str
    symbol: str
    what_to_show: WhatToShow
    bar_size: str
    use_rth: bool

    @property
    def key(self) -> str:
        """Its name in the ledger."""
        return f"{self.date}/{self.symbol}/{self.what_to_show}/{self.bar_size}/{'rth' if self.use_rth else 'all'}"


class Interval(Struct, frozen=True):
    """Half open, in nanoseconds since the epoch."""

    from_ns: int
    to_ns: int


def interval(unit: Unit, zone: str, now_ns: int) -> Interval:
    """The unit's day, up to now at most. Raises Refused for a day that has not begun."""
    day = date.fromisoformat(unit.date)
    from_ns, to_ns = (_midnight_ns(one, zone) for one in (day, day + timedelta(days=1)))
    if from_ns >= now_ns:
        raise Refused(f"--date: expected a day that has begun, was {unit.date}")
    return Interval(from_ns, min(to_ns, now_ns))


def request(unit: Unit, when: Interval, *, now_ns: int, con_id: int | None) -> TwsRequest:
    """What TWS is asked for; the end is explicit UTC, or empty for now."""
    length_s = (when.to_ns - when.from_ns) / NS_PER_S
    end = datetime.fromtimestamp(when.to_ns // NS_PER_S, UTC)
    return TwsRequest(
        symbol=unit.symbol,
        con_id=con_id,
        what_to_show=unit.what_to_show,
        bar_size=unit.bar_size,
        use_rth=unit.use_rth,
        end="" if when.to_ns >= now_ns else f"{end:%Y%m%d %H:%M:%S} UTC",
        duration="1 D" if length_s <= _DAY_S else "2 D",
    )


def days(first: date, last: date) -> Iterator[date]:
    """Weekdays from `first` to `last`, both included; holidays are for TWS to know. Raises Refused for too many."""
    count = (last - first).days + 1
    if not 0 < count <= DAYS_MAX:
        raise Refused(f"--date: expected 1 to {DAYS_MAX} days, from the first to the last, was {first}..{last}")
    for number in range(count):
        day = first + timedelta(days=number)
        if day.weekday() < _SATURDAY:
            yield day


def days_of(texts: Iterable[str]) -> list[date]:
    """`2025-01-13` and `2025-01-13..2025-01-17` -> days; a single one also on a weekend. Raises Refused."""
    found: set[date] = set()
    for text in texts:
        first, dots, last = text.partition("..")
        try:
            begins = date.fromisoformat(first)
            ends = date.fromisoformat(last) if dots else begins
        except ValueError as error:
            raise Refused(f"--date: expected YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD, was {text!r}") from error
        found.update(days(begins, ends) if dots else [begins])
    return sorted(found)


class Schedule(Struct, frozen=True):
    """After which time of a weekday its bars are fetched. zone: of the exchange, an IANA name."""

    at: time
    zone: str

    def last_day(self, now_ns: int) -> date:
        """The last weekday whose time has passed."""
        local = self._local(now_ns)
        day = local.date() if local.time() >= self.at else local.date() - timedelta(days=1)
        while day.weekday() >= _SATURDAY:
            day -= timedelta(days=1)
        return day

    def next_ns(self, now_ns: int) -> int:
        """When the next weekday's time passes, after now."""
        day = self._local(now_ns).date()
        while True:
            moment = datetime.combine(day, self.at, ZoneInfo(self.zone))
            due_ns = int(moment.timestamp()) * NS_PER_S
            if day.weekday() < _SATURDAY and due_ns > now_ns:
                return due_ns
            day += timedelta(days=1)

    def _local(self, now_ns: int) -> datetime:
        return datetime.fromtimestamp(now_ns // NS_PER_S, ZoneInfo(self.zone))


def schedule(at: str, zone: str) -> Schedule:
    """TWS_RUN_AT and TWS_ZONE as a schedule. Raises SettingsError."""
    try:
        clock = time.fromisoformat(at)
        ZoneInfo(zone)
    except (ValueError, KeyError, OSError) as error:
        raise SettingsError(
            f"TWS_RUN_AT and TWS_ZONE: expected HH:MM and an IANA zone such as America/New_York, were {at!r} and {zone!r}"
        ) from error
    return Schedule(clock, zone)


def dates_between(from_ns: int, to_ns: int, zone: str) -> list[date]:
    """Every day of the zone that the interval touches."""
    first, last = (datetime.fromtimestamp(ns // NS_PER_S, ZoneInfo(zone)).date() for ns in (from_ns, to_ns))
    count = min((last - first).days + 1, DAYS_MAX)
    return [first + timedelta(days=number) for number in range(count)]


def _midnight_ns(day: date, zone: str) -> int:
    return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp()) * NS_PER_S
