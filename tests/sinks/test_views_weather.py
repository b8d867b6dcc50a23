"""What users read of the weather: every content once, by its earliest telling; nothing replaced by other content."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from stored import insert_each, read, records

from sinks import rows
from sinks.tables import Tables
from topics.codec import decode_fact, encode
from topics.events import Beat, Cause
from topics.log import Record
from topics.weather import ForecastRun

EXAMPLES = Path(__file__).resolve().parents[2] / "topics" / "examples"


def facts(topic: str) -> list[Any]:
    return [decode_fact(line) for line in (EXAMPLES / f"{topic}.jsonl").read_bytes().splitlines()]


def test_the_golden_facts_are_rows(tables: Tables) -> None:
    """Each fact of the examples stands in the view of its type; a missing value is NULL."""
    insert_each(tables, *records("fact.forecast", *facts("fact.forecast")))
    insert_each(tables, *records("fact.climate", *facts("fact.climate")))
    assert [(4,), (3,), (3,), (2,), (2,)] == [
        read(tables, "count()", view, "1")[0]
        for view in ("forecasts", "forecast_runs", "climate", "climate_years", "beats")
    ]
    assert [("AVN", 45, None), ("NBS", None, 41), ("GFS", 84, None), ("GFS", 85, None)] == read(
        tables, "label, n_x_f, txn_f", "forecasts", "run_at, n_x_f"
    )
    assert [("absent", 0, 21), (None, 21, 21), ("throttled", 0, 23)] == read(
        tables, "reason, valid_times, expected", "forecast_runs", "received_at"
    )
    assert [
        ("2025-01-16", None, ["high"], "None", True),
        ("2026-04-11", 83, [], "None", False),
        ("2026-04-11", 84, ["snow"], "0.03", False),
    ] == [
        (str(day), high, list(missing), str(rain), correction)
        for day, high, missing, rain, correction in read(
            tables, "day, high_f, missing, precip_in, correction", "climate", "issued_at"
        )
    ]
    assert [(2025, ["2025-03-09"])] == [
        (year, list(days)) for year, days in read(tables, "year, missing_days", "climate_years WHERE reason != ''", "1")
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_content_that_is_told_again_keeps_its_earliest_telling(tables: Tables, order: tuple[int, ...]) -> None:
    """By known time, then by cause; whatever came first, the row is the same."""
    first = facts("fact.forecast")[0]
    tellings = [
        replace(first, conn="later", known_ns=first.known_ns + 1, cause=Cause("raw.iem.mos", 0, 1, 0)),
        replace(first, conn="behind", cause=Cause("raw.iem.mos", 1, 7, 3)),
        replace(first, conn="WINS", cause=Cause("raw.iem.mos", 1, 7, 2)),
    ]
    insert_each(tables, *records("fact.forecast", *(tellings[index] for index in order)))
    assert [("WINS",)] == read(tables, "conn", "forecasts", "1")


def test_other_content_of_the_same_valid_time_stands_beside_it(tables: Tables) -> None:
    """A correction is a row, not a replacement."""
    first, second = facts("fact.forecast")[:2]
    insert_each(tables, *records("fact.forecast", second, first, second))
    assert [(84,), (85,)] == read(tables, "n_x_f", "forecasts", "1")


def test_beats_of_a_topic_that_has_no_row_of_its_own_are_not_told_twice() -> None:
    """The beats of the weather are rows from `fact.forecast` and `fact.climate`, those of Kalshi from `fact.trade`."""
    beat = encode(Beat(source="s", conn="c", raw_partition=0, clock_ns=1, lease_ns=2))
    told = {
        topic: "beats" in rows.build([Record(topic, 0, 0, 0, None, (), beat)], topic_ids={}, code_version="v")
        for topic in ("fact.trade", "fact.book", "fact.forecast", "fact.climate")
    }
    assert {"fact.trade": True, "fact.book": False, "fact.forecast": True, "fact.climate": True} == told


def test_availability_measures_only_what_came_while_we_watched(tables: Tables) -> None:
    """Two arrivals of a cycle and one run that was there before us: p50 and p99 of the two, and how sharp they are."""
    whole = next(fact for fact in facts("fact.forecast") if isinstance(fact, ForecastRun) and fact.reason is None)
    day, minute = 86_400 * 10**9, 60 * 10**9

    def came(days: int, minutes: int, **over: Any) -> ForecastRun:
        run_ns = whole.run_ns + days * day
        received_ns = run_ns + minutes * minute
        changes = {"event_ns": run_ns, "run_ns": run_ns, "received_ns": received_ns, "known_ns": received_ns}
        return replace(whole, **(changes | {"absent_ns": received_ns - 2 * minute} | over))

    told = [
        came(0, 240),
        came(0, 600, cause=Cause("raw.iem.mos", 1, 90)),  # asked again: it came only once
        came(1, 200, cause=Cause("raw.iem.mos", 1, 91)),
        came(2, 9_000, cause=Cause("raw.iem.mos", 1, 92), seen="pre_existing", absent_ns=None),
        came(3, 30, cause=Cause("raw.iem.mos", 1, 93), reason="partial"),
        came(3, 220, cause=Cause("raw.iem.mos", 1, 94), seen="archive"),
    ]
    insert_each(tables, *records("fact.forecast", *told))
    assert [("iem.mos", "GFS", "KMIA", 12, "observed", 2, 240.0, 240.0, 240.0, 240.0, 2.0)] == read(
        tables, "*", "availability", "1"
    )
    assert [(12_000.0,), (14_400.0,)] == read(tables, "lag_s", "arrivals", "lag_s")


def test_availability_of_reports_is_counted_from_their_issue(tables: Tables) -> None:
    """Preliminary and final ones apart; what was not observed is not measured."""
    insert_each(tables, *records("fact.climate", *facts("fact.climate")))
    assert [("iem.cli", "final", 62.0), ("iem.cli", "preliminary", 100.0)] == read(
        tables, "source, model, lag_s", "arrivals", "model"
    )
