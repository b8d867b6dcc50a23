"""Labels: what a climate day's reports said when the venue looked, by era, and what the venue says it settled on.

A day has several reports: preliminary ones, issued before it is over, whose high is the highest so far; a final one the
next morning; corrections of it. The venue expires at the first 8 o'clock (Eastern, by the clock) after the first final
report, or a week after the day; what is issued later is ignored. Both values are kept side by side, never made to agree.

rev: the sum, over all distinct reports and outcomes, of 2^40 minus the milliseconds from the day's end to when each was
known: it grows with every one that comes, and with every one that turns out to have been known earlier.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeVar

from msgspec import Struct, field

from topics.asof import ClimateValue, Era, LabelReason, SettlementLabel
from topics.climate_day import bounds_ns, iso, wall_ns
from topics.domains import WEATHER_SERIES, series_of
from topics.events import Cause, KnownBy
from topics.kalshi_rest import Settlement
from topics.units import NS_PER_DAY, NS_PER_MS
from topics.weather import Climate

Measure = Literal["high", "low"]

# Which source settles the markets of a climate day: (since, era). Events dated 2026-08-14 onward name The Weather Company.
ERAS: tuple[tuple[str, Era], ...] = (("", "nws"), ("2026-08-14", "twc"))
# The rules of both eras: "the first 7:00 or 8:00 AM ET following the release of the data, or one week after".
CHECK_ZONE, CHECK_HOUR = "America/New_York", 8
EXPIRES_AFTER_DAYS = 7

REPORTS_MAX = (
    128  # of one day: a station issues some ten; each may be told by row and by text. Those known first are kept
)
_SPAN_MS = 1 << 40
_KNOWN_BY: tuple[KnownBy, ...] = ("observed", "modelled", "assumed")


class Report(NamedTuple):
    """The earliest telling of one content of one product. Compared as a tuple: the smaller one is known earlier."""

    known_ns: int
    cause: tuple[str, int, int, int]
    known_rank: int
    issued_ns: int
    report: str | None
    high_f: int | None
    low_f: int | None


class Outcome(NamedTuple):
    """The earliest telling of one outcome of one market. final: its status is the last one there is.

    source: who settles by the rules' text, None where they do not tell.
    """

    known_ns: int
    cause: tuple[str, int, int, int]
    final: bool
    value: str | None
    value_f: int | None
    settled_ns: int | None
    source: Era | None = None


class Day(Struct, array_like=True):
    """Reports by `product/revision`, and outcomes by market ticker and content, of one climate day of one station."""

    reports: dict[str, Report] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)


T = TypeVar("T", Report, Outcome)


class Taken(NamedTuple):
    """changed: rows are to be told (again): it was new, known earlier, or is redelivered. left_out: what went beyond the limit."""

    changed: bool
    left_out: Cause | None = None


def add_report(state: Day, climate: Climate) -> Taken:
    """Take one report."""
    told = Report(
        climate.known_ns,
        _place(climate.cause),
        _KNOWN_BY.index(climate.known_by),
        climate.issued_ns,
        climate.report,
        climate.high_f,
        climate.low_f,
    )
    return _keep(state.reports, f"{climate.product}/{climate.revision}", told)


def outcome_of(settlement: Settlement) -> Outcome:
    """What a market's answer says of its outcome; a value that is no whole number of degrees has none."""
    e6 = settlement.expiration_value_e6
    return Outcome(
        settlement.known_ns,
        _place(settlement.cause),
        settlement.status == "finalized",
        settlement.expiration_value,
        None if e6 is None or e6 % 1_000_000 else e6 // 1_000_000,
        settlement.settled_ns,
        settlement.settlement_source,
    )


def add_outcome(state: Day, market_ticker: str, told: Outcome) -> Taken:
    """Take one outcome of one market."""
    return _keep(state.outcomes, outcome_key(market_ticker, told), told)


def outcome_key(market_ticker: str, told: Outcome) -> str:
    """What an outcome is known by: all that it says."""
    source = "" if told.source is None else f"/{told.source}"
    return f"{market_ticker}/{told.final}/{told.value}/{told.settled_ns}{source}"


def _keep(kept: dict[str, T], key: str, told: T) -> Taken:
    before = kept.get(key)
    if before is not None and told[:2] > before[:2]:
        return Taken(changed=False)
    kept[key] = told
    if len(kept) <= REPORTS_MAX:
        return Taken(changed=True)
    last = max(kept, key=lambda each: (kept[each].known_ns, each))
    return Taken(last != key, Cause(*kept.pop(last).cause))


def _place(cause: Cause) -> tuple[str, int, int, int]:
    return cause.topic, cause.partition, cause.offset, cause.index


def measure_of(series_ticker: str) -> Measure:
    """The value of the day that a series settles on."""
    return WEATHER_SERIES[series_ticker].measure


def era_of(day_iso: str) -> Era:
    """Who settles the markets of a climate day, where their rules are not known."""
    return next(era for since, era in reversed(ERAS) if since <= day_iso)


def check_of(release_ns: int) -> int:
    """The first check at or after the release of the data."""
    day = release_ns // NS_PER_DAY - 1
    while (check_ns := wall_ns(day, CHECK_HOUR, CHECK_ZONE)) < release_ns:
        day += 1
    return check_ns


def label(state: Day, station: str, series_ticker: str, day: int, offset_s: int) -> SettlementLabel:
    """The row of one series and one climate day. offset_s: what the station's standard time is ahead of UTC."""
    measure, date = measure_of(series_ticker), iso(day)
    end_ns = bounds_ns(day, offset_s)[1]
    values = _values(state, measure, end_ns)
    finals = [value for value in values if value.report == "final"]
    told = [outcome for key, outcome in state.outcomes.items() if series_of(key) == series_ticker]
    venue = venue_of(told)
    check_ns, check_by = _check(finals, venue)
    check_known_ns = _check_known(finals, told)
    seen = [
        value for value in finals if check_ns is not None and value.issued_ns <= check_ns and value.value_f is not None
    ]
    expired = bool(finals) and finals[0].issued_ns > end_ns + EXPIRES_AFTER_DAYS * NS_PER_DAY
    if expired:
        seen, check_ns, check_by = [], None, None
    chosen = seen[-1] if seen else None
    reason = None if chosen else _reason(values, finals, expired=expired)
    venue_f = None if venue is None else venue.value_f
    return SettlementLabel(
        row_id=f"label:{station}:{date}:{series_ticker}",
        rev=_rev(state, end_ns),
        station=station,
        series_ticker=series_ticker,
        target_date_local=date,
        measure=measure,
        era=era_of(date) if venue is None or venue.source is None else venue.source,
        check_ns=check_ns,
        check_by=check_by,
        label_f=None if chosen is None else chosen.value_f,
        product=None if chosen is None else chosen.product,
        known_ns=None if chosen is None or check_ns is None else max(check_ns, chosen.known_ns, check_known_ns),
        known_by=None if chosen is None else chosen.known_by,
        missing_reason=reason,
        venue_value_f=venue_f,
        venue_value=None if venue is None else venue.value,
        venue_known_ns=None if venue is None else venue.known_ns,
        venue_settled_ns=None if venue is None else venue.settled_ns,
        agrees=None if chosen is None or venue_f is None else chosen.value_f == venue_f,
        values=tuple(values),
    )


def _values(state: Day, measure: Measure, end_ns: int) -> list[ClimateValue]:
    """All reports, oldest first; of one product told with several contents the one known last stands last.

    Of several known at one time the one with the larger revision does, wherever it was told.
    """
    values = []
    for key, told in state.reports.items():
        report: Literal["preliminary", "final"] = "final" if told.issued_ns >= end_ns else "preliminary"
        if told.report == "preliminary":
            report = "preliminary"
        value_f = told.high_f if measure == "high" else told.low_f
        known_by, product = _KNOWN_BY[told.known_rank], key.partition("/")[0]
        value = ClimateValue(told.issued_ns, told.known_ns, known_by, value_f, report, product, Cause(*told.cause))
        values.append(((told.issued_ns, product, told.known_ns, key), value))
    return [value for _, value in sorted(values, key=lambda each: each[0])]


def venue_of(told: Iterable[Outcome]) -> Outcome | None:
    """The outcome that holds."""
    return max(told, key=_says_most, default=None)


def _says_most(told: Outcome) -> tuple[object, ...]:
    """What the venue says: a final outcome before a provisional one, one with a number before one without; the last known.

    Of several known at one time what they say decides, and not where they were told.
    """
    said = (told.value or "", -1 if told.settled_ns is None else told.settled_ns, told.source or "")
    return told.final, told.value_f is not None, told.known_ns, said, told.cause


def _check(finals: list[ClimateValue], venue: Outcome | None) -> tuple[int | None, Literal["venue", "rule"] | None]:
    """When the venue looked: by the rule, or when it said that it settled, if that was earlier and after the release."""
    if not finals:
        return None, None
    release_ns = finals[0].issued_ns
    by_rule_ns = check_of(release_ns)
    if venue is not None and venue.settled_ns is not None and release_ns <= venue.settled_ns < by_rule_ns:
        return venue.settled_ns, "venue"
    return by_rule_ns, "rule"


def _check_known(finals: list[ClimateValue], told: list[Outcome]) -> int:
    """Since when one could know when the venue looked; 0: since the rule, because no outcome ever said otherwise."""
    if any(_check(finals, outcome)[1] == "venue" for outcome in told):
        return max(told, key=_says_most).known_ns
    return 0


def _reason(values: list[ClimateValue], finals: list[ClimateValue], *, expired: bool) -> LabelReason:
    if not values:
        return "no_report"
    if not finals:
        return "not_final"
    return "after_expiration" if expired else "no_value"


def _rev(state: Day, end_ns: int) -> int:
    told = [
        *(report.known_ns for report in state.reports.values()),
        *(each.known_ns for each in state.outcomes.values()),
    ]
    return sum(max(1, _SPAN_MS - (known_ns - end_ns) // NS_PER_MS) for known_ns in told)
