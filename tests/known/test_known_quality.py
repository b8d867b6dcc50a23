"""Data quality as known at t: the figures of a store that holds a fold of the tape cut at t."""

from pathlib import Path

import pytest
import tape
from minutes import history
from msgspec.structs import replace
from stored import empty, insert, store
from weather import WeatherFold, climate, forecast, forecast_beat, policy

from sinks.migrate import migrate
from sinks.tables import Tables
from tapefold import stations
from topics.catalog import BARS_1M, FACT_BAR, FACT_CLIMATE, FACT_FORECAST, FACT_POLICY, LABELS
from topics.codec import decode_bar, decode_label, encode
from topics.log import Record
from topics.units import NS_PER_MINUTE, NS_PER_S

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"
TICKERS = ["KXHIGHMIA-25NOV14-B80.5", "KXHIGHMIA-25NOV14-B82.5"]


@pytest.fixture(scope="module")
def tables(store_url):
    """A migrated store."""
    opened = Tables(store_url)
    migrate(opened, MIGRATIONS, lambda: 0)
    yield opened
    empty(opened)
    opened.close()


def facts():
    """Forecasts, reports and bars of TWS around the tape's minutes; some are revised, some come late."""
    start = tape.START_NS
    runs = [
        replace(forecast("2025-11-12 12:00", f"2025-11-{day} 00:00", 70 + n, "2025-11-13 00:00", offset=n),
                known_ns=start + (n * 41 - 120) * NS_PER_S, received_ns=start + (n * 41 - 120) * NS_PER_S)
        for n, day in enumerate([14, 15, 15, 16, 15, 14, 18])
    ]  # fmt: skip
    reports = [
        replace(climate(f"2025-11-{day} 09:30", value, day=f"2025-11-{day - 1}", report="final"), known_ns=start + late * NS_PER_S)
        for day, value, late in [(12, 80, 30), (13, None, 100), (13, 81, 200)]
    ]  # fmt: skip
    bars = [
        replace(bar, known_ns=max(bar.end_ns, start + n * 3 * NS_PER_S))
        for n, bar in enumerate(history(9, start // NS_PER_MINUTE - 100, 105))
    ]
    return runs, reports, bars


def folded(runs, reports, bars, known_ns=None):
    """Facts and the rows of their fold; with a time, what was known then, and rows that were."""
    if known_ns is not None:
        runs, reports, bars = ([fact for fact in some if fact.known_ns <= known_ns] for some in (runs, reports, bars))
    fold = WeatherFold().feed(FACT_POLICY, policy())
    beat = [] if known_ns is None else [forecast_beat(known_ns)]
    fold.feed(FACT_FORECAST, *runs, *beat).feed(FACT_CLIMATE, *reports).feed(FACT_BAR, *bars)
    told = [(FACT_POLICY, encode(policy())), *((FACT_FORECAST, encode(fact)) for fact in runs)]
    told += [*((FACT_CLIMATE, encode(fact)) for fact in reports), *((FACT_BAR, encode(fact)) for fact in bars)]
    told += [(out.topic, out.value) for out in fold.outputs if known_ns is None or known(out, known_ns)]
    return [Record(topic, 0, offset, 0, None, (), value) for offset, (topic, value) in enumerate(told)]


def known(out, known_ns):
    """Whether a row was known by then; only bars and labels may say more than that."""
    decode = {BARS_1M: decode_bar, LABELS: decode_label}.get(out.topic)
    return decode is None or (decode(out.value).known_ns or 0) <= known_ns


def read(tables, view):
    """All figures."""
    return {tuple(row) for row in tables.query_rows(f"SELECT * FROM tapefold_api.{view}").rows}


def test_figures_known_at_a_time_are_those_of_the_tape_cut_there(tables):
    """Of every dataset: bars, TWS and its features, weather features, as-of forecasts, labels."""
    made = tape.tape(21, minutes=6, steps=300, tickers=TICKERS)
    said = facts()
    seen = {}
    for known_ns in (tape.START_NS + 150 * NS_PER_S, tape.START_NS + 10 * 60 * NS_PER_S):
        empty(tables)
        stations.publish(tables)
        store(tables, made)
        insert(tables, folded(*said))
        found = read(tables, f"data_quality_known(t = fromUnixTimestamp64Nano({known_ns}, 'UTC'))")
        empty(tables)
        stations.publish(tables)
        outputs = store_cut(tables, made, known_ns)
        insert(tables, folded(*said, known_ns))
        assert read(tables, "data_quality") == found
        assert outputs
        seen[known_ns] = found
    assert {
        "bars_1m", "raw_tws_bars", "curated_tws_1m_bars", "features_price_1m_v1", "features_weather", "mos_asof",
        "settlement_labels",
    } == {row[0] for row in found}  # fmt: skip
    early, late = seen.values()
    assert early != late


def store_cut(tables, made, known_ns):
    """The tape cut at a time, without the bars that were not yet known."""
    outputs = [record for record in tape_outputs(made.known_at(known_ns)) if known(record, known_ns)]
    insert(tables, [*made.known_at(known_ns).records(), *outputs])
    return outputs


def tape_outputs(made):
    """Facts and rows of a fold of the tape."""
    part = tape.Part(range(made.partitions), made.partitions)
    return [record for number, log in enumerate(made.logs) for record in part.raw(tape.RAW_KALSHI_WS, number, log)]
