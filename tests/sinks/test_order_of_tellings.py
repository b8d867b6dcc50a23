"""Tellings known at one time, in the store: the SQL says what the fold says, wherever and in whatever order they stand."""

import random
from typing import Any

import pytest
import stored
from make import MARKET, at, trade
from msgspec.structs import replace
from weather import WeatherFold, climate, forecast, forecast_beat, ns, policy

from sinks.tables import Tables
from stream_processors.minutes import content_of, telling_order
from tapefold import stations
from topics.catalog import ASOF_FORECAST, FACT_CLIMATE, FACT_FORECAST, FACT_MARKET, FACT_POLICY, FACT_TRADE, LABELS
from topics.events import Cause
from topics.kalshi_rest import Settlement

HOUR_NS = 3_600_000_000_000


def insert(tables: Tables, topic: str, *facts: Any) -> None:
    """Each fact as a part of its own, in this order."""
    stored.insert_each(tables, *stored.records(topic, *facts))


def ask(tables: Tables, query: str) -> list[tuple[str, ...]]:
    """Rows as text."""
    return [tuple(map(str, row)) for row in tables.query_rows(query).rows]


@pytest.mark.parametrize("seed", range(6))
def test_the_table_of_trades_keeps_the_telling_that_the_fold_keeps(tables: Tables, seed: int) -> None:
    """Prices, sizes, times, places, topics and certainties at random; equal times of knowledge are common."""
    rng = random.Random(seed)
    told = [
        trade(
            f"t{rng.randrange(4)}", at(0, 10) + rng.choice([0, 0, 1, 5_000_000]), rng.choice([10_000, 480_000, 990_000]),
            rng.choice([1, 25_000, 10**17]), known_ns=at(0, 11) + rng.choice([0, 0, 0, 1]),
            known_by=rng.choice(["observed", "assumed"]),
            cause=Cause(rng.choice(["raw.kalshi.ws", "raw.kalshi.rest"]), rng.randrange(3), rng.randrange(5), rng.randrange(2)),
        )
        for _ in range(24)
    ]  # fmt: skip
    insert(tables, FACT_TRADE, *told)
    held = {
        name: min((each for each in told if each.trade_id == name), key=telling_order)
        for name in {each.trade_id for each in told}
    }
    columns = (
        "trade_id, toUnixTimestamp64Milli(event_at), toInt64(toDecimal128(yes_price, 6) * 1000000),"
        " toInt64(toDecimal128(no_price, 6) * 1000000), toInt64(toDecimal128(size, 4) * 10000), known_by,"
        " toUnixTimestamp64Nano(known_at), cause_topic, cause_partition, cause_offset, cause_index"
    )
    expected = [
        (name, *map(str, content_of(each)[:4]), each.known_by, str(each.known_ns), each.cause.topic,
         str(each.cause.partition), str(each.cause.offset), str(each.cause.index))
        for name, each in sorted(held.items())
    ]  # fmt: skip
    query = f"SELECT {columns} FROM tapefold.trades FINAL WHERE market_ticker = '{MARKET}' ORDER BY trade_id"
    assert expected == ask(tables, query)


@pytest.mark.parametrize("seed", range(4))
def test_as_of_answers_by_sql_are_those_of_the_fold(tables: Tables, seed: int) -> None:
    """An archive that says something else each time it is asked, of runs that count as known by their nominal times."""
    rng = random.Random(seed)
    facts = [
        replace(
            forecast(f"2026-04-10 {hour:02}:00", valid, 70 + rng.randrange(3), "2026-04-10 16:00", offset=place),
            known_by="assumed", cause=Cause("raw.iem.mos", rng.randrange(2), rng.randrange(50)),
        )
        for hour in (6, 12)
        for valid in ("2026-04-12 00:00", "2026-04-11 12:00")
        for place in range(8)
    ]  # fmt: skip
    rng.shuffle(facts)
    policies = [policy(), policy(policy_id="lag", knowledge="fixed_lag", lags_s={"GFS": 6 * 3_600})]
    fold = WeatherFold().feed(FACT_POLICY, *policies)
    fold.feed(FACT_FORECAST, *facts, forecast_beat(ns("2026-04-20 00:00")))
    stations.publish(tables)
    insert(tables, FACT_POLICY, *policies)
    insert(tables, FACT_FORECAST, *facts)
    stored.insert(tables, stored.records(ASOF_FORECAST, *(o.value for o in fold.outputs if o.topic == ASOF_FORECAST)))
    columns = (
        "station, series_ticker, target_date_local, model, asof_policy_id, chosen_run_utc, known_at, tmax_f, tmin_f, rev, inputs"
        " FROM tapefold_api."
    )
    by_fold, by_sql = (
        ask(tables, f"SELECT {columns}{view} WHERE chosen_run_utc IS NOT NULL ORDER BY ALL")
        for view in ("mos_asof", "mos_asof_from_facts")
    )
    assert by_fold
    assert by_fold == by_sql


@pytest.mark.parametrize("seed", range(4))
def test_labels_by_sql_are_those_of_the_fold(tables: Tables, seed: int) -> None:
    """Reports of one product with other contents, outcomes with other values, all known at the same time."""
    rng = random.Random(seed)
    day, issued_ns, known_ns = "2024-11-27", ns("2024-11-28 09:00"), ns("2024-11-28 15:00")
    reports, outcomes = [], []
    for _ in range(8):
        content = rng.randrange(4)
        made = climate(f"{day} 00:00", 80 + content, day=day, report="final", product="p", revision=f"r{content}")
        reports.append(
            replace(made, issued_ns=issued_ns, event_ns=issued_ns, known_ns=issued_ns + HOUR_NS,
                    cause=Cause("raw.iem.cli", rng.randrange(2), rng.randrange(50)))
        )  # fmt: skip
        value, settled_ns = rng.choice(["81.00", "82.00", "no value", None]), rng.choice([None, known_ns])
        source = rng.choice([None, "nws", "twc"])
        kinds = [(settled, by) for settled in (None, known_ns) for by in (None, "nws", "twc")]
        outcomes.append(
            Settlement(
                market_ticker=f"KXHIGHMIA-{day}-T{rng.randrange(2)}", event_ticker=f"KXHIGHMIA-{day}", result="yes",
                status="finalized", station="KMIA", climate_day=day, settled_ns=settled_ns,
                expiration_value=value, expiration_value_e6=int(float(value) * 10**6) if value and value[0] == "8" else None,
                event_ns=known_ns, received_ns=known_ns, known_ns=known_ns, known_by="observed", conn="rest",
                cause=Cause("raw.kalshi.rest", rng.randrange(2), rng.randrange(50)),
                settlement_source=source,
                settlement_value_e6=kinds.index((settled_ns, source)),  # a table of outcomes has one row for each value
            )
        )  # fmt: skip
    fold = WeatherFold().feed(FACT_CLIMATE, *reports).feed(FACT_MARKET, *outcomes)
    stations.publish(tables)
    insert(tables, FACT_CLIMATE, *reports)
    insert(tables, FACT_MARKET, *outcomes)
    stored.insert(tables, stored.records(LABELS, *(o.value for o in fold.outputs if o.topic == LABELS)))
    columns = (
        "series_ticker, era, check_utc, label_f, product, known_at, venue_value, venue_value_f, venue_known_at,"
        " venue_settled_at, rev"
    )
    by_fold = ask(tables, f"SELECT {columns} FROM tapefold_api.settlement_labels WHERE station = 'KMIA' ORDER BY 1")
    by_sql = ask(
        tables,
        f"SELECT {columns} FROM tapefold_api.settlement_labels_known(t = '2030-01-01 00:00:00') WHERE station = 'KMIA' ORDER BY 1",
    )
    assert by_fold
    assert by_fold == by_sql
