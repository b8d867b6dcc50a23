"""Features under chance: they are views, so whatever order, repeats and cuts their facts came in, the rows are the same."""

import random
from pathlib import Path

import pytest
import tape
from minutes import history
from msgspec.structs import replace
from stored import empty, insert
from weather import WeatherFold, climate, forecast

from sinks.migrate import migrate
from sinks.tables import Tables
from stream_processors.replay import Part
from tapefold import stations
from topics.catalog import FACT_BAR, FACT_CLIMATE, FACT_FORECAST, RAW_KALSHI_WS
from topics.codec import encode
from topics.log import Record
from topics.stations import SymbolStation
from topics.units import NS_PER_MINUTE, NS_PER_S

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"
MARKETS = ("KXHIGHMIA-25NOV14-B80.5", "KXHIGHNY-25NOV14-B50.5")
FIRST = tape.START_NS // NS_PER_MINUTE
VIEWS = ("features_price_1m_v1", "features_weather")
KNOWN = ("features_price_1m_known", "features_weather_known")


@pytest.fixture
def tables(store_url):
    """A migrated store that knows the stations, and that WX is about Miami."""
    opened = Tables(store_url)
    migrate(opened, MIGRATIONS, lambda: 0)
    yield opened
    empty(opened)
    opened.close()


def weather(rng):
    """Runs and reports of both stations, some known before the tape, some within it; copies told again."""
    told = []
    for number in range(30):
        run, value = f"2025-11-{rng.choice(['12', '13'])} {rng.choice(['00', '12'])}:00", rng.choice([78, 79, 80])
        known_ns = tape.START_NS + rng.randrange(-600, 600) * NS_PER_S
        made = forecast(run, "2025-11-15 00:00", value, run, offset=number, known_ns=known_ns, received_ns=known_ns)
        station, model = rng.choice(["KMIA", "KNYC"]), rng.choice(["GFS", "NBS"])
        told.append((FACT_FORECAST, replace(made, station=station, model=model)))
    for number, day in enumerate(["2025-11-09", "2025-11-10", "2025-11-14", "2025-11-14"]):
        made = climate(f"{day} 22:00", 70 + number, day=day, high_normal_f=60 + number, low_normal_f=40)
        for station in ("KMIA", "KNYC"):
            known_ns = tape.START_NS + rng.randrange(-600, 600) * NS_PER_S
            told.append((FACT_CLIMATE, replace(made, station=station, known_ns=known_ns, received_ns=known_ns)))
    return told


def facts(seed):
    """A tape of two markets, tellings of a symbol that is about Miami, and their weather."""
    rng = random.Random(seed)
    made = tape.tape(seed, minutes=10, steps=200, tickers=MARKETS)
    told = [(FACT_BAR, bar) for bar in history(seed, FIRST - 60, 70, symbol="WX")]
    return made, told + weather(rng)


def fill(tables, made, told, rng=None):
    """Fold and insert all; with a chance: in any order, in batches, much of it twice."""
    empty(tables)
    stations.publish(tables)
    stations.publish_symbols(tables, [SymbolStation("WX", "KMIA", "high", 1)], 1)
    told, part, fold = list(told), Part(range(made.partitions), made.partitions), WeatherFold()
    if rng is not None:
        told += rng.sample(told, len(told) // 3)
        rng.shuffle(told)
    records = [Record(topic, 0, offset, 0, None, (), encode(fact)) for offset, (topic, fact) in enumerate(told)]
    bars = [fact for topic, fact in told if topic == FACT_BAR]
    while bars:
        cut = len(bars) if rng is None else rng.randrange(1, 30)
        fold.feed(FACT_BAR, *bars[:cut])
        bars = bars[cut:]
    records += [Record(out.topic, 0, n, 0, None, (), out.value) for n, out in enumerate(fold.outputs)]
    step = 10_000 if rng is None else 40
    for start in range(0, max(map(len, made.logs)), step):
        for number, log in enumerate(made.logs):
            again = 0 if rng is None else rng.choice([0, 0, 15])
            records += part.raw(RAW_KALSHI_WS, number, log[max(0, start - again) : start + step])
    records += made.records()
    if rng is None:
        insert(tables, records)
        return
    rng.shuffle(records)
    for start in range(0, len(records), len(records) // 3 + 1):
        insert(tables, records[start : start + len(records) // 3 + 1])
    insert(tables, rng.sample(records, len(records) // 5))


def read(tables, *views):
    """All rows of the views, by name."""
    return {view: tables.query_rows(f"SELECT * FROM tapefold_api.{view} ORDER BY row_id").rows for view in views}


@pytest.mark.parametrize("seed", [1, 2])
def test_order_repeats_and_cuts_do_not_change_the_features(tables, seed):
    """Facts and revisions in any order, in several inserts, a third of them twice: the rows of one insert in order."""
    made, told = facts(seed)
    fill(tables, made, told)
    expected = read(tables, *VIEWS)
    assert all(len(rows) > 10 for rows in expected.values())
    fill(tables, made, told, random.Random(seed))
    assert expected == read(tables, *VIEWS)


@pytest.mark.parametrize("seed", [3])
def test_a_fact_known_later_changes_no_features_of_an_earlier_time(tables, seed):
    """As known at t, the whole store says what a store says that has only what was known then."""
    made, told = facts(seed)
    moments = [tape.START_NS + seconds * NS_PER_S for seconds in (-900, 130, 400)]
    asked = [f"fromUnixTimestamp64Nano({moment_ns}, 'UTC')" for moment_ns in moments]
    fill(tables, made, told)
    whole = [read(tables, *(f"{view}(t = {moment})" for view in KNOWN)) for moment in asked]
    assert any(len(rows) > 10 for rows in whole[-1].values())
    for moment_ns, moment, expected in zip(moments, asked, whole, strict=True):
        fill(tables, made.known_at(moment_ns), [(topic, fact) for topic, fact in told if fact.known_ns <= moment_ns])
        assert expected == read(tables, *(f"{view}(t = {moment})" for view in KNOWN))
