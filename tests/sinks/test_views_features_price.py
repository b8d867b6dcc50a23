"""Price features equal a straight computation, live and as known at a time; and none leans on what came later."""

import math
import random
from typing import Any

import pytest
from minutes import held, history, price_features, telling, weather_features
from msgspec.structs import replace
from stored import insert, records
from weather import WeatherFold, climate, forecast, ns

from sinks.tables import Tables
from tapefold import stations
from topics.catalog import BARS_TWS, FACT_BAR, FACT_CLIMATE, FACT_FORECAST
from topics.climate_day import day_of, from_iso, iso
from topics.codec import decode_tws_minute
from topics.log import Record
from topics.stations import SymbolStation
from topics.tws import TwsBar
from topics.units import NS_PER_MINUTE, NS_PER_S

FIRST = ns("2026-04-10 14:00") // NS_PER_MINUTE  # a Friday
MIAMI_S = -5 * 3_600
END = "2262-01-01 00:00:00"


def store(tables: Tables, told: list[TwsBar]) -> WeatherFold:
    """Fold the tellings and insert them and their rows."""
    fold = WeatherFold().feed(FACT_BAR, *told)
    rows = [Record(out.topic, 0, n, 0, None, (), out.value) for n, out in enumerate(fold.outputs)]
    insert(tables, [*records(FACT_BAR, *told), *rows])
    return fold


def read(tables: Tables, view: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows by contract, kind and minute number; times in nanoseconds."""
    answer = tables.query_rows(
        "SELECT *, toUnixTimestamp64Nano(minute) AS minute_ns, toUnixTimestamp64Nano(known_at) AS known_ns,"
        " toUnixTimestamp64Nano(newest_run_at) AS newest_run_ns,"
        f" toUnixTimestamp64Nano(forecast_known_at) AS forecast_known_ns FROM tapefold_api.{view}"
    )
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    key = ("symbol", "con_id", "what_to_show", "use_rth")
    return {(*(row[name] for name in key), row["minute_ns"] // NS_PER_MINUTE): row for row in rows}


def same(expected: Any, was: Any) -> bool:
    """Floats to twelve digits, all else to the letter."""
    if isinstance(expected, float) and isinstance(was, float):
        return math.isclose(expected, was, rel_tol=1e-12, abs_tol=1e-12)
    return bool(expected == was)


def assert_straight(found: dict[tuple[Any, ...], dict[str, Any]], told: list[TwsBar], known_ns: int) -> None:
    """Every row, every price feature, and no row more."""
    expected = {
        (*kind, number): price_features(bars, number) for kind, bars in held(told, known_ns).items() for number in bars
    }
    expected = {key: row for key, row in expected.items() if row["known_ns"] <= known_ns}
    assert expected.keys() == found.keys()
    for key, row in expected.items():
        wrong = {name: (value, found[key][name]) for name, value in row.items() if not same(value, found[key][name])}
        assert {} == wrong, key


def tape(seed: int) -> list[TwsBar]:
    """Three kinds of bars that must not mix, one of them over a Friday's midnight."""
    return [
        *history(seed, FIRST, 300),
        *history(seed + 1, FIRST, 90, what_to_show="MIDPOINT", volume_e4=None),
        *history(seed + 2, ns("2026-04-10 22:30") // NS_PER_MINUTE, 200, symbol="BTC", con_id=None, use_rth=False),
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_price_features_are_those_of_a_straight_computation(tables: Tables, seed: int) -> None:
    """Holes, silences, corrections, odd prices and missing volumes among them."""
    told = tape(seed)
    random.Random(seed).shuffle(told)
    store(tables, told)
    found = read(tables, "features_price_1m_v1")
    assert len(found) > 300
    assert_straight(found, told, 2**63 - 1)
    for name in ("return_1m", "return_15m", "realised_vol_15m", "range_1m", "volume_z_60m"):
        assert {True, False} == {row[name] is None for row in found.values()}, name
    assert found == read(tables, f"features_price_1m_known(t = '{END}')")


def test_price_features_known_at_a_time_are_those_of_the_tape_cut_there(tables: Tables) -> None:
    """Corrections that came later are not seen, and what was taken back later still holds."""
    told = tape(3)
    store(tables, told)
    stamps = sorted(bar.known_ns for bar in told)
    for known_ns in [stamps[len(stamps) * part // 4] for part in range(1, 4)]:
        moment = f"fromUnixTimestamp64Nano({known_ns}, 'UTC')"
        assert_straight(read(tables, f"features_price_1m_known(t = {moment})"), told, known_ns)


def test_curated_minutes_known_at_a_time_are_those_of_a_fold_of_the_tape_cut_there(tables: Tables) -> None:
    """Every column, the revision and the identity too."""
    told = tape(4)
    store(tables, told)
    names = (
        "row_id, rev, contents, toInt64(close * 1000000), toInt64(volume * 10000), known_by, toUnixTimestamp64Nano(known_at),"
        " cause_offset"
    )
    stamps = sorted(bar.known_ns for bar in told)
    for known_ns in (stamps[len(stamps) // 3], stamps[-20], stamps[-1]):
        cut = WeatherFold().feed(FACT_BAR, *[bar for bar in told if bar.known_ns <= known_ns])
        folded = cut.rows(BARS_TWS, decode_tws_minute).values()
        answer = tables.query_rows(
            f"SELECT {names} FROM tapefold_api.curated_tws_1m_bars_known(t = fromUnixTimestamp64Nano({known_ns}, 'UTC'))"
        )
        assert {
            (r.row_id, r.rev, r.contents, r.close_e6, r.volume_e4, r.known_by, r.known_ns, r.cause.offset)
            for r in folded
        } == {tuple(row) for row in answer.rows}


def test_a_bar_that_came_later_moves_the_day_since_which_a_row_is_known(tables: Tables) -> None:
    """It changes what the row says of its session, an hour and more away; so the row may not claim to be older."""
    hours = [FIRST, FIRST + 40, FIRST + 130, FIRST + 190]
    told = [telling(number, n, 100_000_000) for n, number in enumerate(hours)]
    bridge = telling(FIRST + 80, 9, 100_000_000, known_ns=ns("2026-04-11 09:00"))
    store(tables, told)
    before = read(tables, "features_price_1m_v1")["SPY", 756_733, "TRADES", True, FIRST + 190]
    insert(
        tables,
        [
            *records(FACT_BAR, bridge),
            *records(BARS_TWS, *WeatherFold().feed(FACT_BAR, bridge).told(BARS_TWS, decode_tws_minute)),
        ],
    )
    after = read(tables, "features_price_1m_v1")["SPY", 756_733, "TRADES", True, FIRST + 190]
    assert (60, told[-1].known_ns) == (before["minutes_since_open"], before["known_ns"])
    assert (190, bridge.known_ns) == (after["minutes_since_open"], after["known_ns"])


def test_a_symbol_of_a_station_sees_the_weather_that_was_known(tables: Tables) -> None:
    """Forecasts, the report so far and the normal of its day at the end of each minute; other symbols see none."""
    stations.publish(tables)
    stations.publish_symbols(tables, [SymbolStation("WX", "KMIA", "high", 1)], 1)
    start = ns("2026-04-10 03:00") // NS_PER_MINUTE  # five in the morning standard time begins another day
    told = [telling(start + 7 * n, n, 50_000_000 + n, symbol="WX") for n in range(120)] + [
        telling(start, 999, 1_000_000)
    ]
    rng = random.Random(5)
    forecasts = [
        replace(
            forecast(f"2026-04-{rng.choice(['08', '09', '10'])} 00:00", f"2026-04-{day} 00:00",
                     rng.choice([80, 81, 82, None]), f"2026-04-10 {rng.randrange(2, 16):02}:{rng.choice(['00', '29'])}", offset=n),
            model=rng.choice(["GFS", "NBS", "MEX"]),
        )
        for n, day in enumerate(rng.choice(["11", "12"]) for _ in range(40))
    ]  # fmt: skip
    reports = [
        climate(issued, high, day=day, high_normal_f=normal, low_normal_f=60, report="preliminary")
        for issued, high, day, normal in [
            ("2026-04-09 21:00", 84, "2026-04-09", 82), ("2026-04-10 05:30", 85, "2026-04-10", 83),
            ("2026-04-10 09:00", 79, "2026-04-11", None), ("2026-04-10 11:00", 86, "2026-04-11", 84),
            ("2026-04-10 08:00", 70, "2025-07-30", 91),
        ]
    ]  # fmt: skip
    store(tables, told)
    insert(tables, [*records(FACT_FORECAST, *forecasts), *records(FACT_CLIMATE, *reports)])
    found = read(tables, "features_price_1m_v1")
    assert (None, 0, None) == tuple(
        found["SPY", 756_733, "TRADES", True, start][name] for name in ("station", "models", "normal_f")
    )
    seen: dict[str, set[Any]] = {}
    for bar in told[:-1]:
        row = found["WX", 756_733, "TRADES", True, bar.event_ns // NS_PER_MINUTE]
        day = day_of(bar.end_ns - 1, MIAMI_S) + 1
        valid_ns = (day + 1) * 86_400 * NS_PER_S
        expected = weather_features(forecasts, reports, bar.end_ns, (iso(day), valid_ns, from_iso))
        row["normal_date_local"] = None if row["normal_date_local"] is None else str(row["normal_date_local"])
        assert ("KMIA", "high", iso(day)) == (row["station"], row["measure"], str(row["target_date_local"]))
        wrong = {name: (value, row[name]) for name, value in expected.items() if not same(value, row[name])}
        assert {} == wrong, bar.event_ns
        for name, value in expected.items():
            seen.setdefault(name, set()).add(value)
    assert {name for name, values in seen.items() if len(values) == 1} <= {"report"}


def test_symbols_follow_the_setting(tables: Tables) -> None:
    """What was set holds, what was taken out is about no station, and the same again is no row."""
    stations.publish(tables)
    stations.publish_symbols(tables, [SymbolStation("A", "KMIA", "high", 0), SymbolStation("B", "KNYC", "low", 1)], 1)
    stations.publish_symbols(tables, [SymbolStation("B", "KNYC", "low", 1)], 2)
    stations.publish_symbols(tables, [SymbolStation("B", "KNYC", "low", 1)], 3)
    answer = tables.query_rows("SELECT symbol, station, version FROM tapefold.symbol_stations FINAL ORDER BY symbol")
    assert [("A", "", 2), ("B", "KNYC", 1)] == [tuple(row) for row in answer.rows]


@pytest.mark.parametrize("feature_set", ["features_price_1m_v1", "features_weather"])
def test_the_registry_names_every_feature_and_its_version(tables: Tables, feature_set: str) -> None:
    """What is not in it has no definition; keys and times are no features."""
    keys = {
        "symbol", "con_id", "what_to_show", "use_rth", "minute", "station", "measure", "target_date_local", "known_at",
        "known_by", "row_id", "feature_version", "market_ticker",
    }  # fmt: skip
    columns = tables.query_rows(
        f"SELECT name FROM system.columns WHERE database = 'tapefold_api' AND table = '{feature_set}'"
    ).rows
    registered = tables.query_rows(
        "SELECT feature, version, definition != '' AND inputs != [] AND knowledge NOT LIKE 'none%'"
        f" FROM tapefold_api.feature_registry WHERE feature_set = '{feature_set}'"
    ).rows
    assert {name for (name,) in columns} - keys == {name for name, _, _ in registered}
    assert len(registered) == len({name for name, _, _ in registered})
    assert {1} == {whole for _, _, whole in registered}
    ((version,),) = {(version,) for _, version, _ in registered}
    assert {"features_price_1m_v1": 1, "features_weather": 2}[feature_set] == version
