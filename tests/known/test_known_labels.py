"""Labels, forecasts and reports as known at t: what a fold of the tape that ends at t says, from facts alone."""

import random
from pathlib import Path

import pytest
from msgspec.structs import replace
from stored import empty, insert
from weather import WeatherFold, climate, forecast, ns

from sinks.migrate import migrate
from sinks.tables import Tables
from tapefold import stations
from topics.catalog import FACT_CLIMATE, FACT_FORECAST, FACT_MARKET, LABELS
from topics.climate_day import iso, offset_of
from topics.codec import decode_label, encode
from topics.events import Cause
from topics.kalshi_rest import Settlement
from topics.log import Record
from topics.units import NS_PER_S

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"
HOUR_NS = 3_600 * NS_PER_S
FIRST_DAY = 20_784  # 2026-11-27; the one before the clocks of the markets' zone change is tried as well
DAYS = [20_756, 20_757, *range(FIRST_DAY, FIRST_DAY + 4), 20_600]


@pytest.fixture(scope="module")
def tables(store_url):
    """A migrated store that knows the stations."""
    opened = Tables(store_url)
    migrate(opened, MIGRATIONS, lambda: 0)
    empty(opened)
    stations.publish(opened)
    yield opened
    empty(opened)
    opened.close()


def reports(rng):
    """Reports of two stations: preliminary, final and corrected ones, early, late, told twice, without a value."""
    told = []
    for station in ("KMIA", "KDEN"):
        for day in DAYS:
            end_ns = (day + 1) * 86_400 * NS_PER_S - offset_of(station) * NS_PER_S
            for _ in range(rng.randrange(7)):
                issued_ns = (
                    end_ns
                    + rng.choice([-4, -1, 0, 1, 5, 7, 8, 9, 30, 24 * 8]) * HOUR_NS
                    + rng.randrange(3) * 60 * NS_PER_S
                )
                made = climate("2026-01-01 00:00", rng.choice([80, 81, 84, None]), day=iso(day))
                known_ns = issued_ns + rng.randrange(0, 30 * 3_600, 600) * NS_PER_S
                cause = Cause("raw.iem.cli", rng.randrange(2), len(told))
                told.append(
                    replace(made, station=station, issued_ns=issued_ns, event_ns=issued_ns, known_ns=known_ns,
                            received_ns=known_ns, cause=cause, product=f"p{issued_ns // NS_PER_S}",
                            report=rng.choice(["preliminary", "final", None]), low_f=rng.choice([60, 61, None]),
                            known_by=rng.choice(["observed", "modelled", "assumed"]))
                )  # fmt: skip
    return told


def outcomes(rng):
    """Outcomes of the markets of those days, determined and final, with a number, with words, with none."""
    told = []
    for series, station in (("KXHIGHMIA", "KMIA"), ("HIGHMIA", "KMIA"), ("KXLOWTMIA", "KMIA"), ("KXHIGHDEN", "KDEN")):
        for day in DAYS:
            end_ns = (day + 1) * 86_400 * NS_PER_S
            for number in range(rng.randrange(3)):
                value = rng.choice(["84.00", "81", "83.50", "no value", None])
                known_ns = end_ns + rng.randrange(0, 40 * 3_600, 600) * NS_PER_S
                e6 = None if value in {None, "no value"} else int(float(value) * 1_000_000)
                settled_ns = rng.choice([None, end_ns + rng.randrange(4, 20) * HOUR_NS])
                event = f"{series}-{day}"
                for cause in range(rng.choice([1, 2])):
                    told.append(Settlement(
                        market_ticker=f"{event}-T{number}", event_ticker=event, status=rng.choice(["determined", "finalized"]),
                        result="yes", expiration_value=value, expiration_value_e6=e6, settlement_value_e6=1_000_000 + len(told),
                        settled_ns=settled_ns, climate_day=iso(day), station=station, event_ns=known_ns,
                        received_ns=known_ns, known_ns=known_ns + rng.choice([0, cause * HOUR_NS]), known_by="observed",
                        cause=Cause("raw.kalshi.rest", 0, len(told)), conn="rest",
                        settlement_source=rng.choice([None, "nws", "twc"]),
                    ))  # fmt: skip
    return told


def records(topic, facts):
    """Facts as the log has them."""
    return [Record(topic, 0, offset, 0, None, (), encode(fact)) for offset, fact in enumerate(facts)]


def folded(told, settled, known_ns):
    """Rows of a fold of what was known then, those that were known then themselves."""
    fold = WeatherFold().feed(FACT_CLIMATE, *[fact for fact in told if fact.known_ns <= known_ns])
    fold.feed(FACT_MARKET, *[fact for fact in settled if fact.known_ns <= known_ns])
    rows = fold.rows(LABELS, decode_label)
    return {
        row_id: (
            row.rev, row.station, row.series_ticker, row.target_date_local, row.measure, row.era, row.check_ns, row.check_by,
            row.label_f, row.product, row.known_ns, row.known_by, row.missing_reason, row.venue_value_f, row.venue_value,
            row.venue_known_ns, row.venue_settled_ns, row.agrees,
            [(v.issued_ns, v.known_ns, v.known_by, v.value_f, v.report, v.product, v.cause.offset) for v in row.values],
        )
        for row_id, row in rows.items() if row.known_ns is None or row.known_ns <= known_ns
    }  # fmt: skip


def read(tables, known_ns):
    """The same of the view."""
    answer = tables.query_rows(
        "SELECT row_id, rev, station, series_ticker, toString(target_date_local), measure, era,"
        " toUnixTimestamp64Nano(check_utc), check_by, label_f, product, toUnixTimestamp64Nano(known_at), known_by,"
        " missing_reason, venue_value_f, venue_value, toUnixTimestamp64Nano(venue_known_at),"
        " toUnixTimestamp64Nano(venue_settled_at), agrees, arrayMap(each -> (toUnixTimestamp64Nano(each.issued_at),"
        " toUnixTimestamp64Nano(each.known_at), each.known_by, each.value_f, each.report, each.product, each.offset), reports)"
        f" FROM tapefold_api.settlement_labels_known(t = fromUnixTimestamp64Nano({known_ns}, 'UTC'))"
    )
    return {row[0]: (*row[1:-1], [tuple(each) for each in row[-1]]) for row in answer.rows}


@pytest.mark.parametrize("seed", [1, 2])
def test_labels_known_at_a_time_are_those_of_the_tape_cut_there(tables, seed):
    """Every column of every row, at any time: two computations that share nothing but the facts."""
    empty(tables)
    stations.publish(tables)
    rng = random.Random(seed)
    told, settled = reports(rng), outcomes(rng)
    insert(tables, [*records(FACT_CLIMATE, told), *records(FACT_MARKET, settled)])
    stamps = sorted(fact.known_ns for fact in [*told, *settled])
    reasons = set()
    for known_ns in [*(stamps[len(stamps) * part // 7] for part in range(7)), stamps[-1], 2**62]:
        expected = folded(told, settled, known_ns)
        assert expected == read(tables, known_ns)
        reasons |= {(row[12], row[7], row[17]) for row in expected.values()}
    assert {"not_final", "no_report", "no_value"} <= {reason for reason, _, _ in reasons}
    assert {"venue", "rule"} <= {by for _, by, _ in reasons}
    assert {True, False} & {agrees for _, _, agrees in reasons}


def test_forecasts_and_reports_that_came_later_are_not_there(tables):
    """A revision told later, a run told later, an outcome told later."""
    empty(tables)
    facts = [
        forecast("2026-04-10 12:00", "2026-04-12 00:00", value, known, offset=offset)
        for offset, (value, known) in enumerate([(85, "2026-04-10 16:30"), (85, "2026-04-10 18:00"), (86, "2026-04-10 17:00")])
    ]  # fmt: skip
    told = [climate("2026-04-10 21:25", 81, day="2026-04-10"), climate("2026-04-11 09:32", 84, day="2026-04-10")]
    insert(tables, [*records(FACT_FORECAST, facts), *records(FACT_CLIMATE, told)])
    for moment, values, highs in (
        ("2026-04-10 16:00", [], []),
        ("2026-04-10 16:45", [85], []),
        ("2026-04-10 22:00", [85, 86], [81]),
        ("2026-04-11 10:00", [85, 86], [81, 84]),
    ):
        for column, view, expected in (("n_x_f", "forecasts", values), ("high_f", "climate_reports", highs)):
            answer = tables.query_rows(f"SELECT {column} FROM tapefold_api.{view}_known(t = '{moment}:00') ORDER BY 1")
            assert expected == [row[0] for row in answer.rows]
    assert ns("2026-04-10 16:30") == facts[0].known_ns


REVISED = [
    ("2024-11-27 21:25", [], None, None),
    ("2024-11-27 22:00", [81], None, None),
    (
        "2024-11-28 12:59",
        [],
        None,
        None,
    ),  # the final report is known, but the venue has not looked: no row says a label
    ("2024-11-28 13:00", [81, 84], 84, None),
    ("2024-11-28 13:56", [81, 84], 84, None),
    ("2024-11-28 13:57", [81, 84, 81], 84, None),
    ("2024-11-28 16:00", [81, 84, 81], 84, ("84.00", 84, True, "yes")),
]


def test_a_day_that_was_revised_after_settlement_as_it_was_known_at_each_time(tables):
    """Miami, 27 November 2024: 81, then 84, on which "84 or above" settled, then 81; each value known at its own time."""
    empty(tables)
    stations.publish(tables)
    told = [
        climate("2024-11-27 21:25", 81, report="preliminary"),
        climate("2024-11-28 09:32", 84, report="final"),
        climate("2024-11-28 13:56", 81, report="final", correction=True),
    ]
    settled_ns = ns("2024-11-28 15:05")
    result = Settlement(
        market_ticker="KXHIGHMIA-24NOV27-T83", event_ticker="KXHIGHMIA-24NOV27", status="finalized", result="yes",
        expiration_value="84.00", expiration_value_e6=84_000_000, settlement_value_e6=1_000_000, settled_ns=settled_ns,
        climate_day="2024-11-27", station="KMIA", event_ns=settled_ns, received_ns=ns("2024-11-28 16:00"),
        known_ns=ns("2024-11-28 16:00"), known_by="observed", cause=Cause("raw.kalshi.rest", 0, 1), conn="rest",
    )  # fmt: skip
    insert(tables, [*records(FACT_CLIMATE, told), *records(FACT_MARKET, [result])])
    name = "label:KMIA:2024-11-27:KXHIGHMIA"
    for moment, values, label, venue in REVISED:
        found = read(tables, ns(moment)).get(name)
        assert folded(told, [result], ns(moment)).get(name) == found
        assert (found is None) == (not values)
        if found is not None:
            assert (values, label) == ([each[3] for each in found[-1]], found[8])
            assert [each.known_ns for each in told][: len(values)] == [each[1] for each in found[-1]]
            outcome = tables.query_rows(f"SELECT result FROM tapefold_api.settlements_known(t = '{moment}:00')").rows
            assert venue == (None if found[14] is None else (found[14], found[13], found[17], outcome[0][0]))
