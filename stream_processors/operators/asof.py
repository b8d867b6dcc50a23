"""As-of forecasts: per (station, model, target climate day) the runs that speak of the day, and what a policy saw of them.

A run speaks of a day by two values: the maximum, valid at 00Z within the day, and the minimum, valid at 12Z. Of each it
may have several revisions, other content for the same valid time; of what was known the one known last holds (of several
known at one time: the one with the larger revision, wherever it was told). The same revision told again counts as
known when it was first known. The answer is the newest run with the value that the policy needs, known no later than
the as-of time and not too stale; else the reason why there is none. Knowledge grows, so reasons and runs only rise,
and with them `rev`.

rev = 2^36 x rank + weight. rank: of the reason, or 8 + the run's hours since the epoch. weight: the sum, over the chosen
run's revisions known in time, of the milliseconds from when each was known to the as-of time: it grows with every
revision that comes, and with every one that turns out to have been known earlier.
"""

from typing import NamedTuple, get_args

from msgspec import Struct, field

from topics.asof import MissingReason
from topics.climate_day import day_of, utc_hour
from topics.events import Cause, KnownBy
from topics.policies import Policy
from topics.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MS, NS_PER_S
from topics.weather import Forecast

REASONS: tuple[MissingReason, ...] = get_args(MissingReason)
_RANK: dict[str, int] = {reason: rank for rank, reason in enumerate(REASONS)}
_CHOSEN = 8  # above every reason
_WEIGHT_BITS = 36

REVISIONS_MAX = 32  # of one value of one run: those known first, so that what comes later changes no earlier answer

_KNOWN_BY: tuple[KnownBy, ...] = ("observed", "modelled", "assumed")
_KNOWN_RANK: dict[str, int] = {name: rank for rank, name in enumerate(_KNOWN_BY)}

MAX, MIN = 0, 1  # the two values of a day
_SLOT_BY_HOUR = {0: MAX, 12: MIN}


class Revision(NamedTuple):
    """One content of one value of one run: its earliest telling."""

    known_ns: int
    topic: str
    partition: int
    offset: int
    place: int
    known_rank: int
    revision: str
    value_f: int | None
    valid_ns: int


Runs = dict[int, tuple[list[Revision], list[Revision]]]  # run_ns -> revisions of the maximum, of the minimum


class Day(Struct, array_like=True):
    """What the runs say of one climate day of one station, by model."""

    models: dict[str, Runs] = field(default_factory=dict)


class Value(NamedTuple):
    """One value that a forecast states: which day of the station, which of the two, and the revision."""

    model: str
    day: int
    slot: int
    run_ns: int
    told: Revision


class Answer(NamedTuple):
    """What a policy saw. A missing answer has a reason and nothing else."""

    rev: int
    missing_reason: MissingReason | None
    run_ns: int | None = None
    known_ns: int | None = None
    known_by: KnownBy | None = None
    tmax_f: int | None = None
    tmin_f: int | None = None
    lead_hours: int | None = None
    inputs: tuple[Cause, ...] = ()


def value_of(forecast: Forecast, offset_s: int) -> Value | None:
    """The maximum or minimum that one valid time of one run states, None for a time that states neither.

    offset_s: what the station's standard time is ahead of UTC.
    """
    event_ns, run_ns = forecast.event_ns, forecast.run_ns
    slot = _SLOT_BY_HOUR.get(utc_hour(event_ns)) if event_ns % NS_PER_HOUR == 0 else None
    if slot is None or event_ns <= run_ns:
        return None
    cause = forecast.cause
    told = Revision(
        max(forecast.known_ns, run_ns),  # nobody knows a run before it begins
        cause.topic,
        cause.partition,
        cause.offset,
        cause.index,
        _KNOWN_RANK[forecast.known_by],
        forecast.revision,
        forecast.n_x_f if forecast.n_x_f is not None else forecast.txn_f,
        event_ns,
    )
    return Value(forecast.model, day_of(event_ns, offset_s), slot, run_ns, told)


class Taken(NamedTuple):
    """changed: rows are to be told (again): it was new, known earlier, or is redelivered. left_out: what went beyond the limit."""

    changed: bool
    left_out: Revision | None = None


def add(state: Day, value: Value) -> Taken:
    """Take one value. Runs are as many as the parser lets speak of one day: one an hour, `LEAD_DAYS_MAX` days long."""
    slots = state.models.setdefault(value.model, {}).setdefault(value.run_ns, ([], []))
    revisions, told = slots[value.slot], value.told
    for index, before in enumerate(revisions):
        if before.revision == told.revision:
            if told > before:
                return Taken(changed=False)
            revisions[index] = told
            revisions.sort(key=_order)
            return Taken(changed=True)
    revisions.append(told)
    revisions.sort(key=_order)
    if len(revisions) <= REVISIONS_MAX:
        return Taken(changed=True)
    last = revisions.pop()
    return Taken(last is not told, last)


def _order(revision: Revision) -> tuple[int, str]:
    """By when it was known, then by what it says: a place on the log that turns out to be earlier changes no answer."""
    return revision.known_ns, revision.revision


def answer(state: Day, model: str, policy: Policy, asof_ns: int, *, reached: bool) -> Answer:
    """What the policy saw of the model's runs at `asof_ns`; reached: the tape has come to that time."""
    runs = state.models.get(model)
    if runs is None:
        return _missing(_RANK["no_run"], reached=reached)
    needed = MAX if policy.needs == "tmax" else MIN
    oldest_ns = asof_ns - policy.max_staleness_s * NS_PER_S
    lag_ns = policy.lags_s.get(model, 0) * NS_PER_S
    rank = _RANK["no_run"]
    for run_ns in sorted(runs, reverse=True):
        slots = runs[run_ns]
        if run_ns > asof_ns:
            rank = max(rank, _late(policy, slots))
            continue
        known = (
            _known(policy, slots[MAX], run_ns, lag_ns, asof_ns),
            _known(policy, slots[MIN], run_ns, lag_ns, asof_ns),
        )
        if not known[MAX] and not known[MIN]:
            rank = max(rank, _late(policy, slots))
        elif run_ns < oldest_ns:
            return _missing(max(rank, _RANK["too_stale"]), reached=reached)  # all that follow are staler
        elif any(revision.value_f is not None for _, _, revision in known[needed]):
            return _chosen(run_ns, known, needed, asof_ns, unsafe=policy.unsafe)
        else:
            rank = max(rank, _RANK["no_value"])
    return _missing(rank, reached=reached)


def _late(policy: Policy, slots: tuple[list[Revision], list[Revision]]) -> int:
    """The rank of a run that was not known in time."""
    if policy.knowledge == "observed" and not any(r.known_rank == 0 for revisions in slots for r in revisions):
        return _RANK["not_observed"]
    return _RANK["known_too_late"]


Known = tuple[int, int, Revision]  # when, by the policy's rule; how, as a rank; what


def _known(policy: Policy, revisions: list[Revision], run_ns: int, lag_ns: int, asof_ns: int) -> list[Known]:
    """The revisions that the policy knew at the as-of time, the one known last at the end."""
    rule = policy.knowledge
    if rule == "run_time":
        return [(revision.known_ns, revision.known_rank, revision) for revision in revisions]
    if rule == "observed":
        return [(r.known_ns, 0, r) for r in revisions if r.known_rank == 0 and r.known_ns <= asof_ns]
    if rule == "stated":
        return [(r.known_ns, r.known_rank, r) for r in revisions if r.known_ns <= asof_ns]
    least_ns = run_ns + lag_ns
    if least_ns > asof_ns:
        return []
    rank = _KNOWN_RANK["modelled" if rule == "modelled" else "assumed"]
    return [
        (least_ns, max(rank, r.known_rank), r) if r.known_ns < least_ns else (r.known_ns, r.known_rank, r)
        for r in revisions
        if r.known_ns <= asof_ns
    ]


def _missing(rank: int, *, reached: bool) -> Answer:
    rank = rank if reached else _RANK["pending"]
    return Answer(rank << _WEIGHT_BITS, REASONS[rank])


def _chosen(run_ns: int, known: tuple[list[Known], list[Known]], needed: int, asof_ns: int, *, unsafe: bool) -> Answer:
    weight = 0
    held: list[Known | None] = [None, None]
    for slot, entries in enumerate(known):
        for entry in entries:
            lead_ns = run_ns - entry[2].known_ns + _UNSAFE_SPAN_NS if unsafe else asof_ns - entry[2].known_ns
            weight += max(0, lead_ns // NS_PER_MS) + 1
            if entry[2].value_f is not None:
                held[slot] = entry  # a revision without the value takes none away
    main = held[needed]
    assert main is not None  # the caller looked
    used = [entry for entry in held if entry is not None]
    tmax, tmin = held
    return Answer(
        ((_CHOSEN + run_ns // NS_PER_HOUR) << _WEIGHT_BITS) + min(weight, (1 << _WEIGHT_BITS) - 1),
        None,
        run_ns,
        max(entry[0] for entry in used),
        _KNOWN_BY[max(entry[1] for entry in used)],
        None if tmax is None else tmax[2].value_f,
        None if tmin is None else tmin[2].value_f,
        (main[2].valid_ns - run_ns) // NS_PER_HOUR,
        tuple(Cause(r.topic, r.partition, r.offset, r.place) for r in sorted(entry[2] for entry in used)),
    )


_UNSAFE_SPAN_NS = 10 * NS_PER_DAY  # what is known later than this after a run adds nothing to an unsafe weight
