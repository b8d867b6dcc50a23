"""Labels: what the reports said when the venue looked, by era; the venue's own value stands beside it, not above it."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weather import WeatherFold, climate, ns

from stream_processors.operators import labels
from topics.catalog import FACT_CLIMATE, FACT_MARKET, LABELS
from topics.climate_day import from_iso, offset_of, series_of_station
from topics.codec import decode_label, encode
from topics.events import Cause
from topics.kalshi_rest import Settlement

DAY, DAY_NUMBER = "2024-11-27", from_iso("2024-11-27")
# The reports of KMIA for 2024-11-27. The market settled on 84, before the correction; the archive shows 81 today.
PRELIMINARY = climate("2024-11-27 21:25", 81, report="preliminary")
FINAL = climate("2024-11-28 09:32", 84, report="final")
CORRECTED = climate("2024-11-28 13:56", 81, report="final", correction=True)
REAL = [PRELIMINARY, FINAL, CORRECTED]


def outcome(value, known, *, final=True, settled=None):
    """What a market's answer says of its outcome."""
    number = int(float(value)) if value.replace(".", "").isdigit() else None
    return labels.Outcome(ns(known), ("raw.kalshi.rest", 0, 1, 0), final, value, number, settled and ns(settled))


def label(*reports, outcomes=(), series="KXHIGHMIA", day=DAY_NUMBER, station="KMIA"):
    """The label of a day from its reports and the outcomes of its markets."""
    state = labels.Day()
    for report in reports:
        labels.add_report(state, report)
    for number, told in enumerate(outcomes):
        labels.add_outcome(state, f"{series}-24NOV27-T{number}", told)
    return labels.label(state, station, series, day, offset_of(station))


def test_a_day_that_was_revised_after_settlement_shows_all_three_values():
    """81, 84, 81: each known at its time; the label is the 84 of 8 o'clock Eastern, and the venue says the same."""
    row = label(*REAL, outcomes=[outcome("84.00", "2024-11-28 16:00")])
    assert [(81, "preliminary"), (84, "final"), (81, "final")] == [(each.value_f, each.report) for each in row.values]
    assert [ns("2024-11-27 21:26"), ns("2024-11-28 09:33"), ns("2024-11-28 13:57")] == [v.known_ns for v in row.values]
    assert (84, ns("2024-11-28 13:00"), "rule", "nws") == (row.label_f, row.check_ns, row.check_by, row.era)
    assert (84, True, FINAL.product) == (row.venue_value_f, row.agrees, row.product)


def test_a_label_is_known_at_the_check_or_when_we_had_the_report():
    """Nobody could use the label before the venue looked, nor we before we had the report."""
    late = msgspec.structs.replace(FINAL, known_ns=ns("2025-01-01 00:00"))
    assert [ns("2024-11-28 13:00"), ns("2025-01-01 00:00")] == [label(each).known_ns for each in (FINAL, late)]


def test_the_venue_s_word_on_when_it_settled_moves_the_check_forward():
    """Markets that settled at 7 did not see what was issued after it; one that settled weeks later still looked at 8."""
    early = label(
        *REAL,
        climate("2024-11-28 12:30", 86, report="final"),
        outcomes=[outcome("84", "2024-11-28 16:00", settled="2024-11-28 12:20")],
    )
    assert (84, "venue", ns("2024-11-28 12:20")) == (early.label_f, early.check_by, early.check_ns)
    assert ns("2024-11-28 16:00") == early.known_ns  # before, nobody knew that the 86 came too late
    late = label(*REAL, outcomes=[outcome("84", "2024-12-20 16:00", settled="2024-12-20 12:20")])
    assert (84, "rule") == (late.label_f, late.check_by)


def test_a_disagreement_is_kept():
    """The label stays what the report said, the venue's value what it says."""
    row = label(FINAL, outcomes=[outcome("87.00", "2024-11-28 16:00")])
    assert (84, 87, False) == (row.label_f, row.venue_value_f, row.agrees)


def test_a_venue_that_tells_no_number_agrees_with_nothing():
    """`No` as a value is kept as told."""
    row = label(FINAL, outcomes=[outcome("No", "2024-11-28 16:00")])
    assert ("No", None, None) == (row.venue_value, row.venue_value_f, row.agrees)


def test_a_final_outcome_stands_above_a_provisional_one():
    """A determined result may be amended; the finalized one is the last word, however early it was told."""
    told = [outcome("84.00", "2024-11-28 16:00"), outcome("81.00", "2024-11-29 16:00", final=False)]
    assert 84 == label(FINAL, outcomes=told).venue_value_f


@pytest.mark.parametrize(
    ("reports", "reason"),
    [
        ([], "no_report"),
        ([PRELIMINARY], "not_final"),
        ([climate("2024-12-06 09:00", 84, report="final")], "after_expiration"),
        ([climate("2024-11-28 09:32", None, report="final")], "no_value"),
        ([climate("2024-11-28 04:59", 84)], "not_final"),
    ],
)
def test_a_day_without_a_label_says_why(reports, reason):
    """From a closed list; a report that does not tell what it is counts by when it was issued."""
    row = label(*reports)
    assert (reason, None, None, None) == (row.missing_reason, row.label_f, row.known_ns, row.agrees)


def test_a_series_of_lows_settles_on_the_minimum():
    """The measure goes by the series."""
    made = climate("2024-11-28 09:32", 84, station="KNYC", low_f=61)
    assert (61, "low") == (label(made, series="KXLOWTNYC", station="KNYC").label_f, labels.measure_of("KXLOWTNYC"))


@pytest.mark.parametrize(
    ("released", "checked"),
    [
        ("2024-11-28 13:00", "2024-11-28 13:00"),
        ("2024-11-28 13:01", "2024-11-29 13:00"),
        ("2025-07-04 08:30", "2025-07-04 12:00"),
        ("2025-03-09 09:30", "2025-03-09 12:00"),
        ("2024-11-03 05:30", "2024-11-03 13:00"),
    ],
)
def test_the_check_is_at_eight_by_the_clock_of_the_east(released, checked):
    """13:00 UTC in winter, 12:00 in summer, right on the days of the change as well."""
    assert ns(checked) == labels.check_of(ns(released))


@pytest.mark.parametrize(("day", "era"), [("2026-08-13", "nws"), ("2026-08-14", "twc"), ("2021-01-01", "nws")])
def test_eras_go_by_the_climate_day(day, era):
    """Who settles changed with the events of one day."""
    assert era == labels.era_of(day)


def settlement(ticker, e6, **over):
    """What REST told of one market of the day, five minutes after it settled."""
    values = {
        "market_ticker": ticker,
        "event_ticker": ticker.rpartition("-")[0],
        "status": "finalized",
        "result": "yes",
        "expiration_value": None if e6 is None else f"{e6 / 1_000_000:.2f}",
        "expiration_value_e6": e6,
        "settled_ns": ns("2024-11-28 12:10"),
        "climate_day": DAY,
        "station": "KMIA",
        "event_ns": ns("2024-11-28 12:10"),
        "received_ns": ns("2024-11-28 12:15"),
        "known_ns": ns("2024-11-28 12:15"),
        "known_by": "observed",
        "cause": Cause("raw.kalshi.rest", 0, 5),
        "conn": "rest",
    }
    return Settlement(**(values | over))


def test_outcomes_of_the_venue_meet_the_reports_in_the_fold():
    """Reports and settlements come by topics of their own, in any order; markets without a number take none away."""
    told = {
        FACT_CLIMATE: REAL,
        FACT_MARKET: [settlement("KXHIGHMIA-24NOV27-T83", 84_000_000), settlement("KXHIGHMIA-24NOV27-B82.5", None)],
    }
    for order in (list(told), list(told)[::-1]):
        fold = WeatherFold()
        for topic in order:
            fold.feed(topic, *told[topic])
        row = fold.rows(LABELS, decode_label)["label:KMIA:2024-11-27:KXHIGHMIA"]
        assert (84, 84, True, "venue", ns("2024-11-28 12:10")) == (
            row.label_f, row.venue_value_f, row.agrees, row.check_by, row.check_ns,
        )  # fmt: skip


def test_the_rules_of_a_market_say_its_era_where_they_are_known():
    """A market that names The Weather Company is of that era, whatever its day."""
    state = labels.Day()
    made = settlement("KXHIGHMIA-24NOV27-T83", 84_500_000, settlement_source="twc")
    labels.add_outcome(state, made.market_ticker, labels.outcome_of(made))
    row = labels.label(state, "KMIA", "KXHIGHMIA", DAY_NUMBER, offset_of("KMIA"))
    assert ("twc", "84.50", None) == (row.era, row.venue_value, row.venue_value_f)


def final_rows(outputs):
    rows = WeatherFold()
    rows.outputs = outputs
    return {key: encode(row) for key, row in rows.rows(LABELS, decode_label).items()}


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_order_cuts_and_repeats_do_not_change_the_labels(data):
    """Any permutation, repeat and batch cut: equal final rows, one for each series of the station."""
    again = msgspec.structs.replace(FINAL, known_ns=FINAL.known_ns + 10**9)
    earlier = msgspec.structs.replace(CORRECTED, known_ns=CORRECTED.known_ns - 10**9)
    told = [*REAL, again, earlier, climate("2024-11-29 09:00", 79, day="2024-11-28")]
    reference = WeatherFold().feed(FACT_CLIMATE, *told)
    fold, left = WeatherFold(), data.draw(st.permutations([*told, *told[:2]]))
    while left:
        cut = data.draw(st.integers(1, len(left)))
        fold.feed(FACT_CLIMATE, *left[:cut])
        left = left[cut:]
    assert final_rows(reference.outputs) == final_rows(fold.outputs)
    assert 2 * len(series_of_station("KMIA")) == len(final_rows(fold.outputs))


@settings(max_examples=100, deadline=None)
@given(moment=st.sampled_from(["2024-11-27 22:00", "2024-11-28 10:00", "2024-11-28 13:30", "2024-11-28 15:00"]))
def test_a_report_known_later_changes_no_label_that_was_known_earlier(moment):
    """What was known as a label at a time stays one, whatever is issued after it."""
    before = label(*[report for report in REAL if report.known_ns <= ns(moment)])
    if before.known_ns is not None and before.known_ns <= ns(moment):
        after = label(*REAL)
        assert (before.label_f, before.known_ns, before.check_ns) == (after.label_f, after.known_ns, after.check_ns)
