"""As-of forecasts in the store: the fold's rows, and the same answers computed from the facts by SQL alone."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
import stored
from msgspec.structs import replace
from weather import WeatherFold, forecast, forecast_beat, forecast_run, ns, policy

from sinks.tables import Tables
from tapefold import stations
from topics.catalog import ASOF_FORECAST, FACT_FORECAST, FACT_POLICY
from topics.climate_day import ZONE_BY_STATION, offset_of, series_of_station, standard_offset_s
from topics.codec import decode_asof_forecast
from topics.domains import STATION_BY_SERIES
from topics.policies import SHIPPED
from topics.units import NS_PER_S

SHOWN = (
    "station, series_ticker, target_date_local, model, asof_policy_id, asof_utc, chosen_run_utc, known_at, known_by, "
    "tmax_f, tmin_f, lead_hours, missing_reason, rev, inputs"
)
POLICIES = [
    *SHIPPED,
    policy(policy_id="patient", at="D 07:00 UTC", max_staleness_s=3 * 86_400, models=("NBS", "GFS"), needs="tmin"),
    policy(policy_id="measured", knowledge="modelled", quantile=0.9, lags_s={"GFS": 5 * 3600}),
    policy(policy_id="blind", knowledge="run_time"),
]


def insert(tables: Tables, topic: str, values: Sequence[Any]) -> None:
    """One part of all; the store knows the stations by then."""
    stations.publish(tables)
    stored.insert(tables, stored.records(topic, *values))


def ask(tables: Tables, view: str, columns: str = SHOWN) -> list[tuple[Any, ...]]:
    """All rows of a view, in an order of their own."""
    answer = tables.query_rows(f"SELECT {columns} FROM tapefold_api.{view} ORDER BY station, series_ticker, row_id")
    return [tuple(map(str, row)) for row in answer.rows]


def history(seed: int) -> list[Any]:
    """Four days of runs of three stations and two models: late, revised, repeated and missing ones."""
    rng = random.Random(seed)
    told = []
    for station in ("KMIA", "KDEN", "KLAX"):
        for model in ("GFS", "NBS"):
            for hour in range(0, 96, 6):
                if rng.random() < 0.3:
                    continue
                run_ns = ns("2026-04-08 00:00") + hour * 3600 * NS_PER_S
                for ahead in range(0, 72, 12):
                    valid_ns = run_ns // (43_200 * NS_PER_S) * 43_200 * NS_PER_S + ahead * 3600 * NS_PER_S
                    for _ in range(rng.choice([0, 1, 1, 2])):
                        value = rng.choice([60, 61, 62, None])
                        known_ns = run_ns + rng.randrange(0, 30 * 3600, 900) * NS_PER_S
                        made = forecast(
                            "2026-04-08 00:00", "2026-04-09 00:00", value, "2026-04-08 04:00", offset=len(told)
                        )
                        told.append(
                            replace(
                                made, station=station, model=model, run_ns=run_ns, event_ns=valid_ns, known_ns=known_ns,
                                received_ns=known_ns, known_by=rng.choice(["observed", "modelled", "assumed"]),
                            )
                        )  # fmt: skip
    return told


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_fold_and_the_sql_give_equal_answers(tables: Tables, seed: int) -> None:
    """Every column of every row, for all rules of knowledge: two computations that share nothing but the facts."""
    facts = history(seed)
    facts += [forecast_beat(ns("2026-04-11 09:00")), forecast_run(ns("2026-04-11 21:00"), station="KDEN")]
    fold = WeatherFold().feed(FACT_POLICY, *POLICIES).feed(FACT_FORECAST, *facts)
    insert(tables, FACT_POLICY, POLICIES)
    insert(tables, FACT_FORECAST, facts)
    insert(tables, ASOF_FORECAST, [output.value for output in fold.outputs if output.topic == ASOF_FORECAST])
    by_fold, by_sql = ask(tables, "mos_asof"), ask(tables, "mos_asof_from_facts")
    assert len(by_fold) > 700
    assert by_fold == by_sql
    reasons = {row[12] for row in by_fold}
    assert {"None", "pending", "no_run", "not_observed", "known_too_late", "too_stale", "no_value"} >= reasons
    assert 6 <= len(reasons)


def test_answers_as_known_at_a_time_are_those_of_a_tape_that_was_cut_there(tables: Tables) -> None:
    """The parameterised view sees facts known by then; so does a fold of them whose clock is there."""
    facts, moment = history(4), "2026-04-10 20:00"
    cut = [fact for fact in facts if fact.known_ns <= ns(moment)]
    fold = WeatherFold().feed(FACT_POLICY, *POLICIES).feed(FACT_FORECAST, *cut, forecast_beat(ns(moment)))
    insert(tables, FACT_POLICY, POLICIES)
    insert(tables, FACT_FORECAST, facts)
    insert(tables, ASOF_FORECAST, [output.value for output in fold.outputs if output.topic == ASOF_FORECAST])
    assert ask(tables, "mos_asof") == ask(tables, f"mos_asof_known(t = '{moment}:00')")


def test_shares_of_reasons_sum_to_the_whole(tables: Tables) -> None:
    """Per policy and model, chosen and missing days are all days whose time has come."""
    fold = (
        WeatherFold()
        .feed(FACT_POLICY, *POLICIES)
        .feed(FACT_FORECAST, *history(5), forecast_beat(ns("2026-04-30 00:00")))
    )
    insert(tables, FACT_POLICY, POLICIES)
    insert(tables, ASOF_FORECAST, [output.value for output in fold.outputs if output.topic == ASOF_FORECAST])
    sums = tables.query_rows(
        "SELECT round(sum(percent), 6), sum(answers) FROM tapefold_api.mos_asof_completeness GROUP BY asof_policy_id, model"
    ).rows
    assert {100.0} == {share for share, _ in sums}
    days = {(each.station, each.target_date_local) for each in fold.told(ASOF_FORECAST, decode_asof_forecast)}
    assert {len(days)} == {answers for _, answers in sums}


def test_unsafe_rows_say_so_in_every_view(tables: Tables) -> None:
    """Whoever reads an answer that does not ask when it was known sees that it does not."""
    facts = [forecast("2026-04-10 18:00", "2026-04-12 00:00", 90, "2026-04-11 03:00")]
    fold = WeatherFold().feed(FACT_POLICY, policy(policy_id="blind", knowledge="run_time")).feed(FACT_FORECAST, *facts)
    insert(tables, FACT_POLICY, [policy(policy_id="blind", knowledge="run_time")])
    insert(tables, FACT_FORECAST, facts)
    insert(tables, ASOF_FORECAST, [output.value for output in fold.outputs if output.topic == ASOF_FORECAST])
    for view in ("mos_asof", "mos_asof_from_facts"):
        assert [("True", "90")] == list(set(ask(tables, view, "unsafe, tmax_f")))


def test_another_version_of_a_policy_takes_the_view_and_leaves_the_journal(tables: Tables) -> None:
    """`mos_asof` shows the latest version; what the earlier one said stays readable."""
    facts = [
        forecast("2026-04-10 12:00", "2026-04-12 00:00", 90, "2026-04-10 16:00"),
        forecast_beat(ns("2026-04-20 00:00")),
    ]
    policies = [policy(), policy(version=2, max_staleness_s=3600)]
    fold = WeatherFold().feed(FACT_POLICY, *policies).feed(FACT_FORECAST, *facts)
    insert(tables, FACT_POLICY, policies)
    insert(tables, ASOF_FORECAST, [output.value for output in fold.outputs if output.topic == ASOF_FORECAST])
    assert {("too_stale",)} == set(ask(tables, "mos_asof", "missing_reason"))
    assert [("1", "90"), ("2", "None")] == [
        tuple(map(str, row))
        for row in tables.query_rows(
            "SELECT policy_version, tmax_f FROM tapefold_api.mos_asof_journal ORDER BY policy_version"
        ).rows
    ]


def test_the_store_has_the_stations_of_the_registry_once(tables: Tables) -> None:
    """Each migration writes them; the same ones again are no rows."""
    stations.publish(tables)
    stations.publish(tables)
    found = tables.query_rows("SELECT station, standard_offset_s, series_tickers FROM tapefold.weather_stations").rows
    assert {name: (offset_of(name), series_of_station(name)) for name in ZONE_BY_STATION} == {
        name: (offset_s, tuple(series)) for name, offset_s, series in found
    }
    assert len(ZONE_BY_STATION) == len(found)


def test_every_series_settles_on_a_station_with_a_calendar() -> None:
    """A series that moves, or a station that comes, needs a zone."""
    assert set(STATION_BY_SERIES.values()) <= set(ZONE_BY_STATION)


@pytest.mark.parametrize("station", ZONE_BY_STATION)
def test_standard_time_of_a_station_has_never_changed(station: str) -> None:
    """Since model output began in 2003; summer time plays no part."""
    assert {offset_of(station)} == {standard_offset_s(ZONE_BY_STATION[station], year) for year in range(2003, 2028)}
