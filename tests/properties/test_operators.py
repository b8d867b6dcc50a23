"""Weather and TWS under chance: orders, cuts, repeats, crashes and partitions give equal rows; what was known stays known."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make import at, trade
from minutes import telling
from weather import climate, forecast, forecast_beat, forecast_run, ns, policy, said

from stream_processors import minutes as minutes_of_trades
from stream_processors.operators import asof, curated, horizon, labels, watermark
from stream_processors.pipeline import Batch, States, _decoders, _encode_state
from topics.catalog import (
    ASOF_FORECAST,
    BARS_TWS,
    DEAD,
    FACT_BAR,
    FACT_CLIMATE,
    FACT_FORECAST,
    FACT_MARKET,
    FACT_POLICY,
    LABELS,
)
from topics.climate_day import from_iso, offset_of
from topics.codec import decode_asof_forecast, decode_dead, decode_label, decode_tws_minute, encode
from topics.events import Beat, Cause
from topics.kalshi_rest import Settlement
from topics.log import partition_of
from topics.policies import Policy
from topics.units import NS_PER_MINUTE, NS_PER_S
from topics.weather import Climate, Forecast

DECODERS = {DEAD: decode_dead, ASOF_FORECAST: decode_asof_forecast, LABELS: decode_label, BARS_TWS: decode_tws_minute}
HALF_HOUR_NS = 1_800 * NS_PER_S
STATIONS = ("KMIA", "KNYC", "KDEN")
KNOWN_BY = ("observed", "modelled", "assumed")
HOURS = (0, 12)
RUNS = [f"2026-04-{day:02} {hour:02}:00" for day in (9, 10) for hour in HOURS]
VALIDS = [f"2026-04-{day:02} {hour:02}:00" for day in (11, 12) for hour in HOURS]
POLICIES = (
    policy(models=("GFS", "NBS")),
    policy(policy_id="careful", knowledge="fixed_lag", lags_s={"GFS": 4 * 3_600}),
    policy(policy_id="seen", knowledge="observed", max_staleness_s=3 * 86_400),
    policy(
        policy_id="modelled",
        knowledge="modelled",
        quantile=0.9,
        lags_s={"GFS": 3_600},
        at="D 07:00 station local standard",
    ),
)
MINUTE = ns("2026-04-10 14:00") // NS_PER_MINUTE


class Lanes:
    """Facts in their partitions, folded a batch at a time; a worker may die behind the rows of each batch."""

    def __init__(self, told, partitions):
        """told: by topic, in the order of the log."""
        self.partitions, self.states, self.outputs, self.killed = partitions, {}, [], False
        self.dead = set()
        self.facts = {(topic, number): [] for topic in told for number in range(partitions)}
        for topic, facts in told.items():
            for fact in facts:
                for number in self._places(fact):
                    self.facts[topic, number] += self._beats(fact) if isinstance(fact, Beat) else [fact]
        self.folded = dict.fromkeys(self.facts, 0)

    def _places(self, fact):
        if isinstance(fact, Policy | Beat):
            return range(self.partitions)
        key = fact.symbol if hasattr(fact, "symbol") else fact.station
        return [partition_of(key.encode(), self.partitions)]

    def _beats(self, beat):
        return [msgspec.structs.replace(beat, raw_partition=number) for number in range(self.partitions)]

    def fold(self, lane, count, back=0, *, killed=False):
        """Fold on, from `back` facts before; killed: the rows are told, the states are not stored."""
        start = max(0, self.folded[lane] - back)
        facts = self.facts[lane][start : start + count + back]
        states = States(self.states.get)
        offsets, values = range(start, start + len(facts)), [encode(fact) for fact in facts]
        outputs = Batch(states, *lane, self.partitions).fold(offsets, values)
        self.outputs += [(output.topic, output.value) for output in outputs]
        self.killed |= killed
        if not killed:
            self.states.update(states.encoded())
            self.folded[lane] = max(self.folded[lane], start + len(facts))

    def drain(self):
        """Fold all that is left; returns the final rows."""
        for lane, facts in self.facts.items():
            self.fold(lane, len(facts))
        return self.rows()

    def rows(self):
        """Of each row the highest revision. Nobody died: none falls, and equal ones are equal. Else the highest is one."""
        final, highest = {}, {}
        for topic, value in self.outputs:
            row = DECODERS[topic](value)
            if topic == DEAD:
                self.dead.add((row.reason, row.cause))
                continue
            before = final.get(row.row_id)
            if before is not None:
                assert self.killed or row.rev >= before.rev, f"a revision fell: {before} {row}"
                assert self.killed or row.rev > before.rev or said(row) == said(before), (
                    f"equal revisions differ: {before} {row}"
                )
                if row.rev < before.rev:
                    continue
            final[row.row_id] = row
            highest.setdefault((row.row_id, row.rev), set()).add(encode(said(row)))
        for row_id, row in final.items():
            assert {encode(said(row))} == highest[row_id, row.rev], f"two contents under the last revision of {row_id}"
        return final


@st.composite
def forecasts(draw):
    """Values of runs of two models, with revisions, late arrivals, and times that are seen, modelled or assumed."""
    facts = []
    for offset in range(draw(st.integers(1, 10))):
        run = draw(st.sampled_from(RUNS))
        known_ns = ns(run) + draw(st.integers(-1, 40)) * HALF_HOUR_NS
        made = forecast(run, draw(st.sampled_from(VALIDS)), draw(st.sampled_from([70, 71, None])), run, offset=offset)
        model, station = draw(st.sampled_from(["GFS", "NBS"])), draw(st.sampled_from(STATIONS[:2]))
        known_by = draw(st.sampled_from(KNOWN_BY))
        facts.append(
            msgspec.structs.replace(
                made, model=model, station=station, known_ns=known_ns, received_ns=known_ns, known_by=known_by
            )
        )
    later = [forecast_beat(ns("2026-04-11 12:00")), forecast_run(ns("2026-04-11 23:30"), station="KNYC")]
    return {FACT_FORECAST: [*facts, *later], FACT_POLICY: list(POLICIES)}


@st.composite
def reports(draw):
    """Reports and outcomes of two days of three stations: early, late, corrected, told again, without a value."""
    told, outcomes = [], []
    for offset in range(draw(st.integers(1, 10))):
        day, station = draw(st.sampled_from(["2024-11-26", "2024-11-27"])), draw(st.sampled_from(STATIONS))
        issued_ns = ns(f"{day} 00:00") + draw(st.sampled_from([40, 53, 57, 60, 66, 67, 74, 75, 90, 250])) * HALF_HOUR_NS
        known_ns = issued_ns + draw(st.integers(0, 50)) * HALF_HOUR_NS
        high_f, kind = draw(st.sampled_from([81, 84, None])), draw(st.sampled_from(["preliminary", "final", None]))
        made = climate(
            f"{day} 00:00", high_f, day=day, report=kind, product=f"p{issued_ns}", revision=f"{high_f}/{kind}"
        )
        cause = Cause("raw.iem.cli", 0, offset)
        told.append(
            msgspec.structs.replace(
                made, station=station, issued_ns=issued_ns, event_ns=issued_ns, known_ns=known_ns, cause=cause
            )
        )
    series = {"KMIA": "KXHIGHMIA", "KNYC": "KXHIGHNY", "KDEN": "KXHIGHDEN"}
    for offset in range(draw(st.integers(0, 5))):
        day, station = draw(st.sampled_from(["2024-11-26", "2024-11-27"])), draw(st.sampled_from(STATIONS))
        e6, event = draw(st.sampled_from([84_000_000, 84_500_000, None])), f"{series[station]}-{day}"
        known_ns = ns(f"{day} 00:00") + draw(st.integers(60, 150)) * HALF_HOUR_NS
        settled_ns = draw(st.sampled_from([None, *(ns(f"{day} 00:00") + n * HALF_HOUR_NS for n in (64, 70, 73, 76))]))
        outcomes.append(
            Settlement(
                market_ticker=f"{event}-T{draw(st.integers(0, 1))}", event_ticker=event, result="yes", climate_day=day,
                status=draw(st.sampled_from(["determined", "finalized"])), station=station, settled_ns=settled_ns,
                expiration_value=None if e6 is None else str(e6 / 1_000_000), expiration_value_e6=e6,
                event_ns=known_ns, received_ns=known_ns, known_ns=known_ns, known_by="observed",
                cause=Cause("raw.kalshi.rest", 0, offset), conn="rest",
            )
        )  # fmt: skip
    return {FACT_CLIMATE: told, FACT_MARKET: outcomes}


@st.composite
def minutes(draw):
    """Tellings of a few minutes of two symbols: corrections, repeats, what was taken back, growing bars, other sizes."""
    told = []
    for offset in range(draw(st.integers(1, 12))):
        number = MINUTE + draw(st.integers(0, 1))
        told.append(
            telling(
                number, offset, draw(st.sampled_from([100, 101, 102])) * 1_000_000,
                symbol=draw(st.sampled_from(["SPY", "QQQ"])), volume_e4=draw(st.sampled_from([None, 10_000])),
                known_ns=(number + 1) * NS_PER_MINUTE + draw(st.integers(0, 6)) * NS_PER_S,
                known_by=draw(st.sampled_from(KNOWN_BY)), finished=draw(st.sampled_from([True, True, True, False])),
                bar_size=draw(st.sampled_from(["1 min", "1 min", "1 min", "5 mins"])),
            )
        )  # fmt: skip
    return {FACT_BAR: told}


KINDS = {"as-of": forecasts(), "labels": reports(), "minutes": minutes()}
by_kind = pytest.mark.parametrize("kind", KINDS)


@by_kind
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_order_cuts_repeats_crashes_and_partitions_do_not_change_the_final_rows(kind, data):
    """Any permutation, repeat, batch, crash behind the rows and partition count: the rows of one straight fold."""
    told = data.draw(KINDS[kind])
    expected = Lanes(told, 1).drain()
    shuffled = {
        topic: data.draw(st.permutations([*facts, *facts[: data.draw(st.integers(0, 3))]]))
        for topic, facts in told.items()
    }
    lanes = Lanes(shuffled, data.draw(st.integers(1, 4)))
    crashes = data.draw(st.booleans())
    for _ in range(data.draw(st.integers(0, 12))):
        lane, killed = data.draw(st.sampled_from(list(lanes.facts))), crashes and data.draw(st.booleans())
        lanes.fold(lane, data.draw(st.integers(1, 6)), data.draw(st.sampled_from((0, 0, 2))), killed=killed)
    assert expected == lanes.drain()


@by_kind
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_goes_beyond_a_limit_is_named_and_is_the_same_in_any_order(kind, data):
    """With limits of two: equal rows in any order, later knowledge changes no earlier answer, each content left out in `dead`."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(asof, "REVISIONS_MAX", 2)
        patched.setattr(labels, "REPORTS_MAX", 2)
        told = data.draw(KINDS[kind])
        one, other = (Lanes({t: data.draw(st.permutations(facts)) for t, facts in told.items()}, 1) for _ in range(2))
        rows = one.drain()
        assert rows == other.drain()
        for lanes in (one, other):
            causes = {cause for _, cause in lanes.dead}
            assert lost(lanes, told) <= {
                name_of(f) for facts in told.values() for f in facts if getattr(f, "cause", None) in causes
            }
            assert {"over_limit"} >= {reason for reason, _ in lanes.dead}
        moment_ns = data.draw(st.sampled_from(sorted({getattr(f, "known_ns", 0) for fs in told.values() for f in fs})))
        known = {topic: [f for f in facts if getattr(f, "known_ns", 0) <= moment_ns] for topic, facts in told.items()}
        before = Lanes(known, 1).drain()
        for row_id, row in rows.items():
            if answer(row) is not None and row.known_ns <= moment_ns:
                assert answer(row) == answer(before[row_id])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_of_many_contents_of_one_value_those_known_first_are_kept(order, monkeypatch):
    """What is known later changes no earlier answer; what is left out is named, in whatever order it came."""
    monkeypatch.setattr(asof, "REVISIONS_MAX", 2)
    known = ((70, 5), (71, 6), (72, 7))
    told = [forecast(RUNS[0], VALIDS[0], f, f"2026-04-09 0{hour}:00", offset=hour) for f, hour in known]
    facts = [*(told[place] for place in order), forecast_beat(ns("2026-04-11 12:00"))]
    lanes = Lanes({FACT_FORECAST: facts, FACT_POLICY: [policy()]}, 1)
    assert {71} == {row.tmax_f for row in lanes.drain().values()}
    assert {("over_limit", told[2].cause)} == lanes.dead


def lost(lanes, told):
    """Names of the contents that no state holds."""
    decode = {"asofday": asof.Day, "label": labels.Day}
    held = set()
    for key, value in lanes.states.items():
        if (kind := decode.get(key.partition("/")[0])) is None:
            continue
        state = _decoders[kind](value)
        if isinstance(state, asof.Day):
            runs = [
                (*key.split("/")[1:], model, run, slots)
                for model, of in state.models.items()
                for run, slots in of.items()
            ]
            held |= {
                (s, int(d), m, run, slot, each.revision)
                for s, d, m, run, slots in runs
                for slot in (0, 1)
                for each in slots[slot]
            }
        else:
            held |= {(key, name) for name in (*state.reports, *state.outcomes)}
    names = {name_of(fact) for facts in told.values() for fact in facts}
    return names - held - {None}


def name_of(fact):
    """What a state knows a fact by; None for one that no capped state holds."""
    match fact:
        case Forecast() if (value := asof.value_of(fact, offset_of(fact.station))) is not None:
            return fact.station, value.day, value.model, value.run_ns, value.slot, value.told.revision
        case Climate():
            return f"label/{fact.station}/{from_iso(fact.day)}", f"{fact.product}/{fact.revision}"
        case Settlement():
            key, told = f"label/{fact.station}/{from_iso(fact.climate_day)}", labels.outcome_of(fact)
            return key, labels.outcome_key(fact.market_ticker, told)
    return None


def answer(row):
    """What a row says, and since when: None for one that has no answer."""
    if row.known_ns is None:
        return None
    fields = {
        "AsofForecast": ("chosen_run_ns", "tmax_f", "tmin_f", "known_by", "inputs"),
        "SettlementLabel": ("label_f", "product", "check_ns", "known_by"),
        "TwsMinute": ("open_e6", "close_e6", "volume_e4", "known_by", "cause"),
    }
    return row.known_ns, *(getattr(row, name) for name in fields[type(row).__name__])


@by_kind
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_what_a_row_calls_known_at_a_time_was_known_then(kind, data):
    """A row that says that it was known at a moment is the one that the facts known by that moment give."""
    told = data.draw(KINDS[kind])
    whole = Lanes(told, 1).drain()
    stamps = sorted({getattr(fact, "known_ns", 0) for facts in told.values() for fact in facts})
    moment_ns = data.draw(st.sampled_from(sorted({*stamps, *(row.known_ns for row in whole.values() if row.known_ns)})))
    known = {
        topic: [fact for fact in facts if getattr(fact, "known_ns", 0) <= moment_ns] for topic, facts in told.items()
    }
    before = Lanes(known, 1).drain()
    for row_id, row in whole.items():
        if answer(row) is not None and row.known_ns <= moment_ns:
            assert answer(row) == answer(before[row_id])


def test_states_are_as_small_as_the_architecture_says():
    """What is told once more costs so many bytes, whatever else the state holds; told again at another place, nothing."""
    name = "01234567-89ab-cdef-0123-456789abcdef"
    sizes = [len(_encode_state(minute_of(count, name))) for count in (0, 1, 101)]
    assert sizes[0] <= 20
    assert (sizes[2] - sizes[1]) / 100 <= 95
    tellings = [telling(MINUTE, number, 100_000_000 + number) for number in range(50)]
    lanes = Lanes({FACT_BAR: tellings}, 1)
    lanes.drain()
    assert len(next(iter(lanes.states.values()))) / 50 <= 75


def minute_of(trades, name):
    """The state of a minute with so many trades, whose ids are as long as the exchange's."""
    state = minutes_of_trades.Minute()
    minutes_of_trades.add_trades(
        state, [trade(f"{name[:-3]}{number:03}", at(0, number / 10)) for number in range(trades)]
    )
    return state


PREFIXES = {
    "asof": horizon.State, "asofday": asof.Day, "label": labels.Day, "tws": curated.State, "watermark": watermark.State,
}  # fmt: skip


@by_kind
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_states_survive_their_storage(kind, data):
    """Each state, decoded and encoded again, has the same bytes; a fold that goes on from it says the same (see above)."""
    lanes = Lanes(data.draw(KINDS[kind]), 2)
    lanes.drain()
    for key, value in lanes.states.items():
        assert value == _encode_state(_decoders[PREFIXES[key.partition("/")[0]]](value)), key
