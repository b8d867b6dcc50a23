"""As-of rows of the fold: what each policy saw, whatever the order in which it was told."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weather import WeatherFold, forecast, forecast_beat, forecast_run, ns, policy, straight

from topics.asof import MissingReason
from topics.catalog import ASOF_FORECAST, DEAD, FACT_FORECAST, FACT_POLICY
from topics.climate_day import from_iso, iso
from topics.codec import decode_asof_forecast, decode_dead, encode
from topics.policies import SHIPPED
from topics.units import NS_PER_S

DAY = "2026-04-11"  # at KMIA the as-of time of the test policy is 2026-04-10 23:00 UTC
MAX_VALID, MIN_VALID = "2026-04-12 00:00", "2026-04-11 12:00"
LATER = ns("2026-04-20 00:00")
POLICIES = (policy(),)


def folded(*facts, policies=POLICIES, reached_ns=LATER):
    """A fold that knows the policies and the facts, and whose tape has come to `reached_ns`."""
    fold = WeatherFold().feed(FACT_POLICY, *policies).feed(FACT_FORECAST, *facts)
    return fold.feed(FACT_FORECAST, forecast_beat(reached_ns))


def rows(fold):
    return fold.rows(ASOF_FORECAST, decode_asof_forecast)


def row(fold, day=DAY, model="GFS", policy_key="test@1"):
    return rows(fold)[f"asof:KMIA:{day}:{model}:{policy_key}"]


def both(run, value_f, known, **over):
    """The maximum and the minimum of one run for DAY."""
    return forecast(run, MAX_VALID, value_f, known, **over), forecast(run, MIN_VALID, value_f - 20, known, **over)


def test_the_newest_run_known_in_time_is_chosen():
    """A 12Z run that was public at 16:30Z is; the 18Z run was not public at 23:00Z, though its nominal time is earlier."""
    late = both("2026-04-10 18:00", 90, "2026-04-10 23:00:01")
    chosen = row(
        folded(
            *both("2026-04-10 06:00", 80, "2026-04-10 10:00"), *both("2026-04-10 12:00", 85, "2026-04-10 16:30"), *late
        )
    )
    assert (85, 65, ns("2026-04-10 12:00"), ns("2026-04-10 16:30")) == (
        chosen.tmax_f, chosen.tmin_f, chosen.chosen_run_ns, chosen.known_ns,
    )  # fmt: skip
    assert (ns("2026-04-10 23:00"), 36, None) == (chosen.asof_ns, chosen.lead_hours, chosen.missing_reason)
    assert {"HIGHMIA", "KXHIGHMIA"} <= set(chosen.series_tickers)


def test_known_at_the_very_as_of_time_is_known():
    """The bound is `<=`."""
    assert 90 == row(folded(*both("2026-04-10 18:00", 90, "2026-04-10 23:00"))).tmax_f


@pytest.mark.parametrize(
    ("facts", "asked", "reason"),
    [
        ((), {}, "no_run"),
        (both("2026-04-10 18:00", 90, "2026-04-11 00:00"), {}, "known_too_late"),
        (both("2026-04-11 00:00", 90, "2026-04-11 04:00"), {}, "known_too_late"),
        (both("2026-04-09 12:00", 90, "2026-04-09 16:00"), {}, "too_stale"),
        ((forecast("2026-04-10 12:00", MIN_VALID, 60, "2026-04-10 16:00"),), {}, "no_value"),
        ((forecast("2026-04-10 12:00", MAX_VALID, None, "2026-04-10 16:00"),), {}, "no_value"),
        (both("2026-04-10 12:00", 90, "2026-04-10 16:00", known_by="modelled"), {"knowledge": "observed"}, "not_observed"),
        (both("2026-04-10 12:00", 90, "2026-04-10 16:00"), {"knowledge": "fixed_lag", "lags_s": {"GFS": 43_200}}, "known_too_late"),
    ],
)  # fmt: skip
def test_what_is_missing_has_a_reason(facts, asked, reason):
    """A row without a run says why, in one of a closed list of words, and has nothing else."""
    frame = [forecast("2026-04-08 12:00", f"2026-04-{day} 00:00", 70, "2026-04-08 16:00") for day in (11, 13)]
    missing = row(folded(*frame, *facts, policies=[policy(**asked)]))
    assert (reason, None, None, None, ()) == (
        missing.missing_reason, missing.chosen_run_ns, missing.tmax_f, missing.known_ns, missing.inputs,
    )  # fmt: skip


def test_every_reason_of_the_list_is_tested():
    """The list is closed: six words, and the tests of this file meet each of them."""
    assert {"pending", "no_run", "not_observed", "known_too_late", "too_stale", "no_value"} == set(
        MissingReason.__args__
    )


def test_before_its_time_a_row_without_a_run_is_pending():
    """Until a beat or a later answer says that the as-of time has passed, nothing is missing yet."""
    early = forecast("2026-04-10 00:00", "2026-04-13 00:00", 70, "2026-04-10 04:00")
    for passed in (forecast_beat, forecast_run):
        fold = WeatherFold().feed(FACT_POLICY, policy()).feed(FACT_FORECAST, early)
        assert "pending" == row(fold, "2026-04-12").missing_reason
        fold.feed(FACT_FORECAST, passed(ns("2026-04-11 22:59")))
        assert "pending" == row(fold, "2026-04-12").missing_reason
        fold.feed(FACT_FORECAST, passed(ns("2026-04-11 23:00")))
        assert "too_stale" == row(fold, "2026-04-12").missing_reason


def test_a_day_between_two_days_is_missing_and_one_beyond_is_not_asked_for():
    """Days have rows from the first to the last that a run spoke of; a silence of months is no archive."""
    days = ["2026-04-01 00:00", "2026-04-04 00:00", "2026-09-01 00:00"]
    fold = folded(*[forecast("2026-03-31 00:00", day, 70, "2026-03-31 04:00") for day in days])
    assert ["2026-03-31", "2026-04-01", "2026-04-02", "2026-04-03", "2026-08-31"] == sorted(
        each.target_date_local for each in rows(fold).values()
    )


def test_every_model_of_a_policy_has_a_row_each_day():
    """A model that never spoke is missing with a reason, so that shares of reasons sum to the whole."""
    fold = folded(*both("2026-04-10 12:00", 85, "2026-04-10 16:30"), policies=[policy(models=("GFS", "NBS"))])
    assert [("GFS", None), ("NBS", "no_run")] == sorted(
        (each.model, each.missing_reason) for each in rows(fold).values()
    )


def test_a_revision_counts_from_when_it_was_known():
    """Other content for the same valid time replaces the earlier from its own known time on, not before."""
    asks = [policy(policy_id=f"p{hour}", at=f"D-1 {hour}:00 UTC") for hour in (17, 19)]
    first, _ = both("2026-04-10 12:00", 85, "2026-04-10 16:30")
    again = msgspec.structs.replace(first, revision="other", n_x_f=87, known_ns=ns("2026-04-10 18:00"))
    for told in itertools.permutations([first, again]):
        fold = folded(*told, policies=asks)
        assert [85, 87] == [row(fold, policy_key=f"p{hour}@1").tmax_f for hour in (17, 19)]


def test_of_two_contents_in_one_answer_the_same_one_holds_in_any_order():
    """Some answers hold a run twice, with other values: the larger revision holds, so that a copy elsewhere changes nothing."""
    one = forecast("2026-04-10 12:00", MAX_VALID, 85, "2026-04-10 16:30")
    two = msgspec.structs.replace(one, revision="z", n_x_f=83, cause=msgspec.structs.replace(one.cause, index=7))
    assert [83, 83] == [row(folded(*told)).tmax_f for told in ([one, two], [two, one])]


def test_the_same_revision_told_again_is_known_since_it_was_first():
    """A poll that repeats a run changes nothing, and tells no row."""
    first = forecast("2026-04-10 12:00", MAX_VALID, 85, "2026-04-10 16:30")
    again = msgspec.structs.replace(
        first, known_ns=first.known_ns + NS_PER_S, cause=msgspec.structs.replace(first.cause, offset=9)
    )
    fold = folded(first)
    count = len(fold.outputs)
    before = row(fold)
    fold.feed(FACT_FORECAST, again)
    assert (before, count) == (row(fold), len(fold.outputs))
    assert before == row(folded(again, first))


def test_a_value_that_is_told_as_missing_takes_none_away():
    """Answers leave out columns that are empty everywhere: their absence corrects nothing."""
    first = forecast("2026-04-10 12:00", MAX_VALID, 85, "2026-04-10 16:30")
    empty = forecast("2026-04-10 12:00", MAX_VALID, None, "2026-04-10 17:30", offset=2)
    assert 85 == row(folded(first, empty)).tmax_f


def test_a_fixed_lag_is_never_less_careful_than_the_fact():
    """What came later than the lag says is known when it came; what came earlier only after the lag."""
    lagged = policy(knowledge="fixed_lag", lags_s={"GFS": 5 * 3600})
    early = row(folded(*both("2026-04-10 12:00", 85, "2026-04-10 16:30"), policies=[lagged]))
    assert (ns("2026-04-10 17:00"), "assumed") == (early.known_ns, early.known_by)
    late = row(folded(*both("2026-04-10 12:00", 85, "2026-04-10 18:30"), policies=[lagged]))
    assert (ns("2026-04-10 18:30"), "observed") == (late.known_ns, late.known_by)


def test_who_does_not_ask_when_it_was_known_is_marked_in_every_row():
    """The rule that switches the question off makes unsafe rows, chosen or missing, and they keep the true known time."""
    facts = both("2026-04-10 18:00", 90, "2026-04-11 03:00")
    fold = folded(*facts, policies=[policy(), policy(policy_id="blind", knowledge="run_time")])
    honest, blind = row(fold), row(fold, policy_key="blind@1")
    assert (None, "known_too_late", False) == (honest.tmax_f, honest.missing_reason, honest.unsafe)
    assert (90, ns("2026-04-11 03:00"), True) == (blind.tmax_f, blind.known_ns, blind.unsafe)
    assert blind.asof_ns < blind.known_ns


def test_a_policy_that_comes_later_asks_for_all_days():
    """A policy added after years of facts gives the rows that it would have given from the beginning."""
    facts = both("2026-04-10 12:00", 85, "2026-04-10 16:30")
    late = folded(*facts).feed(FACT_POLICY, policy(policy_id="late"))
    early = folded(*facts, policies=[policy(), policy(policy_id="late")])
    assert rows(early) == rows(late)


def test_another_version_stands_beside_the_first():
    """Answers of both are there; the same version with other words is refused."""
    facts = both("2026-04-10 12:00", 85, "2026-04-10 16:30")
    fold = folded(*facts).feed(FACT_POLICY, policy(version=2, max_staleness_s=3600), policy(max_staleness_s=7))
    assert (85, "too_stale") == (row(fold).tmax_f, row(fold, policy_key="test@2").missing_reason)
    assert ["conflict"] == [dead.reason for dead in fold.told(DEAD, decode_dead)]


def test_a_station_without_series_has_no_rows():
    """Nothing settles there, and its standard time is not known."""
    assert {} == rows(folded(forecast("2026-04-10 12:00", MAX_VALID, 85, "2026-04-10 16:30", station="KAMW")))


def test_each_change_of_a_row_raises_its_revision():
    """A correction, and the news that a correction was known earlier than thought: told one by one, each outranks the last."""
    first = forecast("2026-04-10 12:00", MAX_VALID, 85, "2026-04-10 16:30")
    other = msgspec.structs.replace(first, revision="b", n_x_f=87, known_ns=ns("2026-04-10 18:00"))
    earlier = msgspec.structs.replace(other, known_ns=ns("2026-04-10 16:00"))
    fold = WeatherFold().feed(FACT_POLICY, policy())
    seen = [row(fold.feed(FACT_FORECAST, fact)) for fact in (first, other, earlier)]
    assert [85, 87, 85] == [each.tmax_f for each in seen]
    assert seen[0].rev < seen[1].rev < seen[2].rev


RUNS = [f"2026-04-{day:02} {hour:02}:00" for day in (8, 9, 10) for hour in (0, 12)]
VALIDS = [f"2026-04-{day:02} {hour:02}:00" for day in (11, 12) for hour in (0, 12)]
ASKS = [
    policy(),
    policy(policy_id="careful", knowledge="fixed_lag", lags_s={"GFS": 4 * 3600, "NBS": 3600}, models=("GFS", "NBS")),
    policy(policy_id="morning", at="D 07:00 station local standard", max_staleness_s=2 * 86_400),
]


@st.composite
def tellings(draw):
    """Some values of some runs, with revisions, late arrivals and repeats; every telling stands at its own offset."""
    facts = []
    for offset in range(draw(st.integers(1, 14))):
        run, valid = draw(st.sampled_from(RUNS)), draw(st.sampled_from(VALIDS))
        value = draw(st.sampled_from([70, 71, 72, None]))
        known_ns = ns(run) + draw(st.integers(0, 40)) * 1800 * NS_PER_S
        made = forecast(run, valid, value, run, known_ns=known_ns, received_ns=known_ns, offset=offset)
        facts.append(msgspec.structs.replace(made, model=draw(st.sampled_from(["GFS", "NBS"]))))
    return facts


@settings(max_examples=200, deadline=None)
@given(facts=tellings(), data=st.data())
def test_order_cuts_and_repeats_do_not_change_the_rows(facts, data):
    """Any permutation, any repeat, any batch cut, policies early or late: equal final rows."""
    beat = forecast_beat(ns("2026-04-11 12:00"))
    reference = WeatherFold().feed(FACT_POLICY, *ASKS).feed(FACT_FORECAST, *facts, beat)
    told = data.draw(st.permutations([*facts, *facts[: data.draw(st.integers(0, 4))], beat, *ASKS]))
    fold = WeatherFold()
    while told:
        cut = data.draw(st.integers(1, len(told)))
        part, told = told[:cut], told[cut:]
        fold.feed(FACT_FORECAST, *[fact for fact in part if fact not in ASKS])
        fold.feed(FACT_POLICY, *[fact for fact in part if fact in ASKS])
    expected = {key: encode(value) for key, value in rows(reference).items()}
    last = {each.row_id: encode(each) for each in fold.told(ASOF_FORECAST, decode_asof_forecast)}
    assert expected == last


@settings(max_examples=200, deadline=None)
@given(facts=tellings())
def test_revisions_never_fall_and_equal_ones_are_equal_rows(facts):
    """One by one, in the order of the log: each row only rises (`WeatherFold.rows` looks)."""
    fold = WeatherFold().feed(FACT_POLICY, *ASKS)
    for fact in facts:
        fold.feed(FACT_FORECAST, fact)
    assert rows(fold) or all(fact.event_ns <= fact.run_ns for fact in facts)


@settings(max_examples=200, deadline=None)
@given(facts=tellings(), data=st.data())
def test_a_fact_known_later_changes_no_answer_at_an_earlier_time(facts, data):
    """Answers whose as-of time lies before a moment are the same with and without all that became known after it."""
    moment_ns = ns(data.draw(st.sampled_from(RUNS)))
    before = [fact for fact in facts if fact.known_ns <= moment_ns]
    alone, whole = (rows(folded(*part, policies=ASKS)) for part in (before, facts))
    for key, answer in alone.items():
        if answer.asof_ns <= moment_ns and answer.chosen_run_ns is not None:
            assert answer == whole[key]
    for key, answer in whole.items():
        if answer.asof_ns <= moment_ns and answer.chosen_run_ns is not None:
            assert answer == alone[key]


@settings(max_examples=300, deadline=None)
@given(facts=tellings())
def test_answers_are_those_of_a_straight_computation(facts):
    """Brute force over all facts finds the same run and the same values, and nothing known after the as-of time is used."""
    found = rows(folded(*facts, policies=ASKS))
    for answer in found.values():
        asked = next(each for each in ASKS if each.policy_id == answer.policy_id)
        expected = straight(facts, asked, answer.model, answer.target_date_local, -5)
        if expected is None:
            assert answer.missing_reason is not None
            continue
        assert expected == {name: getattr(answer, name) for name in expected}
        assert answer.known_ns <= answer.asof_ns
        assert answer.chosen_run_ns <= answer.known_ns


def test_shipped_policies_are_safe_and_stand_on_a_calendar():
    """Each asks when things were known; the default is among them."""
    assert not any(each.unsafe for each in SHIPPED)
    assert {"D-1 18:00 station local standard"} <= {each.at for each in SHIPPED}
    assert DAY == iso(from_iso(DAY))
