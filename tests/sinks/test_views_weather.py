"""What users read of the weather: every content once, by its earliest telling; nothing replaced by other content."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sinks import rows
from sinks.tables import Tables
from topics.codec import decode_fact, encode
from topics.events import Beat, Cause
from topics.log import Record

EXAMPLES = Path(__file__).resolve().parents[2] / "topics" / "examples"


def facts(topic: str) -> list[Any]:
    return [decode_fact(line) for line in (EXAMPLES / f"{topic}.jsonl").read_bytes().splitlines()]


def insert(tables: Tables, topic: str, *told: Any) -> None:
    """Each fact as a part of its own."""
    for offset, fact in enumerate(told):
        record = Record(topic, 0, offset, 0, None, (), encode(fact))
        for table, arrow in rows.build([record], topic_ids={}, code_version="v").items():
            tables.insert_arrow(table, arrow, f"{topic}:{table}:{offset}")


def read(tables: Tables, columns: str, view: str, order: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in tables.query_rows(f"SELECT {columns} FROM tapefold_api.{view} ORDER BY {order}").rows]


def test_the_golden_facts_are_rows(tables: Tables) -> None:
    """Each fact of the examples stands in the view of its type; a missing value is NULL."""
    insert(tables, "fact.forecast", *facts("fact.forecast"))
    insert(tables, "fact.climate", *facts("fact.climate"))
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
    insert(tables, "fact.forecast", *(tellings[index] for index in order))
    assert [("WINS",)] == read(tables, "conn", "forecasts", "1")


def test_other_content_of_the_same_valid_time_stands_beside_it(tables: Tables) -> None:
    """A correction is a row, not a replacement."""
    first, second = facts("fact.forecast")[:2]
    insert(tables, "fact.forecast", second, first, second)
    assert [(84,), (85,)] == read(tables, "n_x_f", "forecasts", "1")


def test_beats_of_a_topic_that_has_no_row_of_its_own_are_not_told_twice() -> None:
    """The beats of the weather are rows from `fact.forecast` and `fact.climate`, those of Kalshi from `fact.trade`."""
    beat = encode(Beat(source="s", conn="c", raw_partition=0, clock_ns=1, lease_ns=2))
    told = {
        topic: "beats" in rows.build([Record(topic, 0, 0, 0, None, (), beat)], topic_ids={}, code_version="v")
        for topic in ("fact.trade", "fact.book", "fact.forecast", "fact.climate")
    }
    assert {"fact.trade": True, "fact.book": False, "fact.forecast": True, "fact.climate": True} == told
