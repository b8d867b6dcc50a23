"""Weather features as known at t: those of a fold of the tape cut at t, joined by brute force with what was known."""

import random
from pathlib import Path

import pytest
import tape
from minutes import weather_features
from msgspec.structs import replace
from stored import empty, insert, store
from weather import climate, forecast, ns

from sinks.migrate import migrate
from sinks.tables import Tables
from tapefold import stations
from topics.catalog import FACT_CLIMATE, FACT_FORECAST, FACT_MARKET
from topics.climate_day import from_iso
from topics.codec import decode_fact, encode
from topics.log import Record
from topics.units import NS_PER_MINUTE, NS_PER_S

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"
DAY = "2025-11-14"
VALID_NS = ns("2025-11-15 00:00")
STATION_BY_MARKET = {"KXHIGHMIA-25NOV14-B80.5": "KMIA", "KXHIGHNY-25NOV14-B50.5": "KNYC"}
HOUR_NS = 3_600 * NS_PER_S


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


def known_somewhen(rng, minutes):
    """A moment before or within the tape, many of them the same."""
    return tape.START_NS + rng.randrange(-60, 60 * minutes, 15) * NS_PER_S


def forecasts(rng, minutes):
    """Runs of three models for both stations; revisions, repeats, and runs that became known in the wrong order."""
    told = []
    for number in range(60):
        made = forecast("2025-11-12 00:00", DAY, rng.choice([48, 50, 52]), DAY, offset=number)
        run_ns = ns("2025-11-12 00:00") + rng.randrange(0, 48, 12) * HOUR_NS
        known_ns = known_somewhen(rng, minutes)
        told.append(
            replace(made, station=rng.choice(["KMIA", "KNYC"]), model=rng.choice(["GFS", "NBS", "NAM"]), run_ns=run_ns,
                    event_ns=VALID_NS, known_ns=known_ns, received_ns=known_ns)
        )  # fmt: skip
    return told


def reports(rng, minutes):
    """Normals of days near and far; history is told in any order."""
    days = [f"2025-11-{day:02}" for day in range(2, 15)] + ["2025-07-20", "2024-11-14"]
    told = []
    for number, day in enumerate(rng.sample(days, len(days))):
        made = climate(f"{day} 22:00", 70, day=day, high_normal_f=60 + number, low_normal_f=40)
        told.append(replace(made, station=rng.choice(["KMIA", "KNYC"]), known_ns=known_somewhen(rng, minutes)))
    return told


def records(topic, facts):
    """Facts as the log has them."""
    return [Record(topic, 0, offset, 0, None, (), encode(fact)) for offset, fact in enumerate(facts)]


def straight(bars, told, known_reports, closes):
    """Rows by market and minute, of the bars of a fold."""
    found = {}
    for bar in bars:
        station, end_ns = STATION_BY_MARKET[bar.market_ticker], bar.minute_ns + NS_PER_MINUTE
        here = [fact for fact in told if fact.station == station]
        there = [fact for fact in known_reports if fact.station == station]
        row = weather_features(here, there, end_ns, (DAY, VALID_NS, from_iso))
        known = [(at, close) for market, at, close in closes if market == bar.market_ticker and at <= end_ns]
        found[bar.market_ticker, bar.minute_ns] = (
            row["models"], row["forecast_mean_f"], row["forecast_spread_f"], row["run_change_f"],
            (VALID_NS - end_ns) / HOUR_NS if row["models"] else None, row["newest_run_ns"], row["forecast_known_ns"],
            row["normal_f"], row["normal_date_local"],
            (max(known)[1] - end_ns) / HOUR_NS if known else None, bar.close_e6, bar.known_ns, bar.known_by,
        )  # fmt: skip
    return found


def read(tables, view):
    """The same of a view."""
    answer = tables.query_rows(
        "SELECT market_ticker, toUnixTimestamp64Nano(minute), models, forecast_mean_f, forecast_spread_f, run_change_f,"
        " lead_hours, toUnixTimestamp64Nano(newest_run_at), toUnixTimestamp64Nano(forecast_known_at), normal_f,"
        " toString(normal_date_local), hours_to_close, toInt64(close * 1000000), toUnixTimestamp64Nano(known_at), known_by"
        f" FROM tapefold_api.{view}"
    )
    return {tuple(row[:2]): tuple(row[2:]) for row in answer.rows}


@pytest.mark.parametrize("seed", [1, 2])
def test_weather_features_known_at_a_time_are_those_of_the_tape_cut_there(tables, seed):
    """Every column at any time; the last cut is the whole, which the plain view shows as well."""
    rng, minutes = random.Random(seed), 8
    made = tape.tape(seed, minutes=minutes, steps=400, tickers=STATION_BY_MARKET)
    outputs = store(tables, made)
    told, reported = forecasts(rng, minutes), reports(rng, minutes)
    insert(tables, [*records(FACT_FORECAST, told), *records(FACT_CLIMATE, reported)])
    closes = [
        (fact.market_ticker, fact.known_ns, fact.close_ts * NS_PER_S)
        for fact in (decode_fact(record.value) for record in outputs if record.topic == FACT_MARKET)
        if getattr(fact, "close_ts", None)
    ]
    end_ns = max(int(dict(record.headers)["received_ns"]) for record in made.records()) + NS_PER_S
    changes = set()
    for known_ns in (tape.START_NS + 150 * NS_PER_S, tape.START_NS + 300 * NS_PER_S, end_ns):
        bars = [bar for bar in tape.fold(made.known_at(known_ns))["bars.1m"].values() if bar.known_ns <= known_ns]
        expected = straight(bars, told, reported, closes)
        assert expected == read(tables, f"features_weather_known(t = fromUnixTimestamp64Nano({known_ns}, 'UTC'))")
        asked = "series_tickers = [], start = '2020-01-01 00:00:00', end_at = '2030-01-01 00:00:00'"
        moment = f"fromUnixTimestamp64Nano({known_ns}, 'UTC')"
        assert expected == read(tables, f"get_weather_features_for_inference({asked}, asof = {moment})")
        changes |= {(row[0], row[1], row[7], row[9] is None) for row in expected.values()}
    assert expected == read(tables, "features_weather")
    assert len(changes) > 6
    empty(tables)
    stations.publish(tables)


def test_the_normal_of_a_season_long_gone_is_not_today_s(tables):
    """History that is fetched last is known last; it says nothing of November."""
    made = tape.tape(3, minutes=3, steps=100, tickers=["KXHIGHMIA-25NOV14-B80.5"])
    store(tables, made)
    near = climate("2025-11-13 22:00", 70, day="2025-11-12", high_normal_f=61, low_normal_f=40)
    july = climate("2025-07-20 22:00", 90, day="2025-07-20", high_normal_f=91, low_normal_f=70)
    late_ns = tape.START_NS + 30 * NS_PER_S
    insert(tables, records(FACT_CLIMATE, [near, replace(july, known_ns=late_ns, received_ns=late_ns)]))
    assert {(61, "2025-11-12")} == {row[7:9] for row in read(tables, "features_weather").values()}
    empty(tables)
