"""Weather features: what was known of a market's day at the end of each minute, and nothing that came after."""

from typing import Any

import pytest
from msgspec.structs import replace
from stored import insert, records
from weather import climate, forecast, ns

from sinks.tables import Tables
from tapefold import stations
from topics.catalog import BARS_1M, FACT_CLIMATE, FACT_FORECAST, FACT_MARKET
from topics.domains import WEATHER_SERIES
from topics.events import Bar, Cause, Market
from topics.units import NS_PER_MINUTE, NS_PER_S

MARKET = "KXHIGHMIA-26APR11-B84.5"
SHOWN = "models, forecast_mean_f, forecast_spread_f, run_change_f, lead_hours, normal_f, hours_to_close"


def bar(minute: str, market_ticker: str = MARKET) -> Bar:
    """A closed bar with one price."""
    start_ns = ns(minute)
    return Bar(
        row_id=f"bar:{market_ticker}:{start_ns // NS_PER_MINUTE}", rev=3, market_ticker=market_ticker, minute_ns=start_ns,
        open_e6=480_000, high_e6=480_000, low_e6=480_000, close_e6=480_000, volume_e4=10_000, trades=1, yes_bid_e6=None,
        yes_ask_e6=None, closed=True, known_ns=start_ns + NS_PER_MINUTE, known_by="observed",
    )  # fmt: skip


def told(model: str, run: str, value: int, known: str, offset: int) -> Any:
    """The maximum of 2026-04-11 by one run."""
    return replace(forecast(run, "2026-04-12 00:00", value, known, offset=offset), model=model, label=model)


@pytest.fixture
def filled(tables: Tables) -> Tables:
    """Runs of two models, a report with normals, an announced close, and four minutes."""
    stations.publish(tables)
    runs = [
        told("GFS", "2026-04-10 06:00", 80, "2026-04-10 10:00", 1),
        told("GFS", "2026-04-10 12:00", 86, "2026-04-10 16:30", 2),
        told("NBS", "2026-04-10 13:00", 83, "2026-04-10 15:00", 3),
        told("GFS", "2026-04-10 00:00", 70, "2026-04-10 17:00", 4),
    ]  # fmt: skip
    insert(tables, records(FACT_FORECAST, *runs))
    insert(
        tables,
        records(FACT_CLIMATE, climate("2026-04-10 09:30", 82, day="2026-04-09", high_normal_f=83, low_normal_f=68)),
    )
    close = Market(
        market_ticker=MARKET, event_ns=ns("2026-04-10 14:00"), received_ns=ns("2026-04-10 14:00"),
        known_ns=ns("2026-04-10 14:00"), known_by="observed", cause=Cause("raw.kalshi.ws", 0, 1), conn="a", sid=1,
        event_type="created", close_ts=ns("2026-04-12 05:00") // NS_PER_S,
    )  # fmt: skip
    insert(tables, records(FACT_MARKET, close))
    minutes = ("2026-04-10 09:00", "2026-04-10 14:59", "2026-04-10 16:29", "2026-04-10 18:59")
    insert(tables, records(BARS_1M, *map(bar, minutes), bar("2026-04-10 18:59", "KXBTC-26APR10-T1")))
    return tables


def test_each_minute_sees_what_was_known_at_its_end(filled: Tables) -> None:
    """Before any run: nothing. Then GFS and NBS; then GFS's next run and its change; a late old run changes no answer."""
    answer = filled.query_rows(f"SELECT {SHOWN} FROM tapefold_api.features_weather ORDER BY minute").rows
    assert [
        (0, None, None, None, None, None, None),
        (2, 81.5, 3.0, None, 33.0, 83, 38.0),
        (2, 84.5, 3.0, 6.0, 31.5, 83, 36.5),
        (2, 84.5, 3.0, 6.0, 29.0, 83, 34.0),
    ] == [tuple(row) for row in answer]


def test_no_feature_is_known_after_its_minute(filled: Tables) -> None:
    """The standing question of the leakage audit, asked of every row."""
    leaks = filled.query_rows(
        "SELECT count() FROM tapefold_api.features_weather"
        " WHERE forecast_known_at > minute + INTERVAL 1 MINUTE OR newest_run_at > forecast_known_at OR known_at < minute"
    ).rows
    assert [(0,)] == [tuple(row) for row in leaks]


@pytest.mark.parametrize("series", sorted(WEATHER_SERIES))
def test_the_measure_goes_by_the_name_of_the_series(series: str) -> None:
    """The view knows lows by their name; the registry must not say otherwise."""
    assert WEATHER_SERIES[series].measure == ("low" if "LOW" in series else "high")
