"""Trades, climate reports, forecasts and results of the same recorded days meet in one fold, and are those of the files.

Bars, as-of forecasts and labels are held to a few lines over the same files that compute them by other means.
"""

import csv
import gzip
import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from weather import WeatherFold, climate, ns

from tapefold.payloads import records
from tapefold.payloads.sources import SOURCES
from topics.catalog import (
    ASOF_FORECAST,
    BARS_1M,
    FACT_CLIMATE,
    FACT_FORECAST,
    FACT_MARKET,
    FACT_POLICY,
    FACT_TRADE,
    LABELS,
)
from topics.codec import decode_asof_forecast, decode_bar, decode_fact, decode_label
from topics.iem import RUN_LAGS
from topics.policies import SHIPPED
from topics.units import NS_PER_S

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REST = SHARED / "kalshi-rest" / "cpratim-weather-trades"
REPORTS = SHARED / "iem-cli" / "mostlyright-parity"
MOS = SHARED / "iem-mos" / "logan-daily-mos-tmax"
NOW_NS = 1_795_000_000 * NS_PER_S
WHERE = [
    ("kxhighny", "KNYC", "case_1_KNYC_2025-01-06_2025-01-12.json", "2025-01-07", ("GFS", "NAM")),
    ("kxhighchi", "KMDW", "case_2_KMDW_2025-04-01_2025-04-30.json", "2025-04-10", ()),
]

pytestmark = pytest.mark.skipif(not REST.is_dir() or not MOS.is_dir(), reason="needs recordings that are not shipped")


def facts(source, *paths):
    """The facts that the live parser reads in files, by topic."""
    out = []
    records.parse(source, SOURCES[source], paths, None, now_ns=lambda: NOW_NS, out=out.append)
    by_topic = defaultdict(list)
    for line in map(json.loads, out):
        by_topic[line["topic"]].append(decode_fact(json.dumps(line["value"]).encode()))
    return by_topic


def fold_of(series, reports, station, day, models):
    """One fold of the trades of a day, the events of all days, their reports and the runs of all days."""
    fold = WeatherFold().feed(FACT_POLICY, *SHIPPED)
    fold.feed(FACT_TRADE, *facts("kalshi.rest", REST / series / "trades" / f"{day}.json.gz")[FACT_TRADE])
    fold.feed(FACT_MARKET, *facts("kalshi.rest", *sorted((REST / series / "events").glob("*.gz")))[FACT_MARKET])
    for model in models:
        told = facts("iem.mos", MOS / f"{model.lower()}_mos_{station.lower()}_2024on.csv")[FACT_FORECAST]
        for start in range(0, len(told), 500):
            fold.feed(FACT_FORECAST, *told[start : start + 500])
    morning = {line["date"]: (date.fromisoformat(line["date"]) + timedelta(days=1)).isoformat() for line in reports}
    fold.feed(
        FACT_CLIMATE,
        *[
            climate(f"{morning[line['date']]} 09:30", line["cli_high_f"], day=line["date"], report="final", station=station,
                    low_f=line["cli_low_f"])
            for line in reports
        ],
    )  # fmt: skip
    return fold


@pytest.mark.parametrize(("series", "station", "case", "day", "models"), WHERE)
def test_bars_forecasts_and_labels_of_the_same_days_are_those_of_the_files(series, station, case, day, models):
    """Each join of the fold beside a straight computation; where label and venue differ, the row says so."""
    reports = json.loads((REPORTS / case).read_bytes())
    fold = fold_of(series, reports, station, day, models)
    assert straight_bars(series, day) == {
        (row.market_ticker, row.minute_ns // (60 * NS_PER_S)): (
            row.open_e6, row.high_e6, row.low_e6, row.close_e6, row.volume_e4, row.trades,
        )
        for row in fold.rows(BARS_1M, decode_bar).values() if row.trades
    }  # fmt: skip
    labels = fold.rows(LABELS, decode_label)
    highs = {line["date"]: line["cli_high_f"] for line in reports}
    compared = differing = 0
    for path in sorted((REST / series / "events").glob("*.gz")):
        date_iso = path.name.removesuffix(".json.gz")
        label = labels.get(f"label:{station}:{date_iso}:{series.upper()}")
        value, high = venue_value(path), highs.get(date_iso)
        if label is None:
            assert (None, None) == (value, high)  # told before it settled, and no report
            continue
        assert (high, value) == (label.label_f, label.venue_value_f)
        assert (
            None if high is None else ns(f"{next_day(date_iso)} {'12' if date_iso > '2025-03-09' else '13'}:00")
        ) == label.check_ns
        assert ("no_report" if high is None else None) == label.missing_reason
        assert (None if high is None or value is None else high == value) == label.agrees
        compared += label.agrees is not None
        differing += label.agrees is False
    assert compared >= (1 if station == "KNYC" else 10)
    assert 0 == differing
    answers = fold.rows(ASOF_FORECAST, decode_asof_forecast)
    for model in models:
        run, value = straight_run(model, station, day)
        answer = answers[f"asof:{station}:{day}:{model}:d1-1800@1"]
        assert (value, run, run + RUN_LAGS[model].lag_ns, None) == (
            answer.tmax_f, answer.chosen_run_ns, answer.known_ns, answer.missing_reason,
        )  # fmt: skip
        assert answer.known_ns <= answer.asof_ns < ns(f"{day} 00:00")


def next_day(date_iso):
    """The day after."""
    return (date.fromisoformat(date_iso) + timedelta(days=1)).isoformat()


def venue_value(path):
    """The whole degrees that an event's markets say they settled on, None where none says any."""
    said = {market["expiration_value"] for market in json.loads(gzip.decompress(path.read_bytes()))["markets"]}
    (value,) = {float(each) for each in said if each} or {None}
    return None if value is None else int(value)


def straight_run(model, station, day):
    """The run and the maximum of the day in the file, in nanoseconds and degrees."""
    with (MOS / f"{model.lower()}_mos_{station.lower()}_2024on.csv").open() as file:
        (line,) = [line for line in csv.DictReader(file) if line["date"] == day]
    return ns(line["runtime"]), round(float(line[f"{model.lower()}_mos_tmax_f"]))


def straight_bars(series, day):
    """(market, minute) -> open, high, low, close, volume and count of the file's trades, in the order of time and id."""
    found = defaultdict(list)
    for trades in json.loads(gzip.decompress((REST / series / "trades" / f"{day}.json.gz").read_bytes())).values():
        for trade in trades:
            at = datetime.fromisoformat(trade["created_time"]).astimezone(UTC)
            at_ms = int(at.timestamp()) * 1_000 + at.microsecond // 1_000
            place = (at_ms, trade["trade_id"], trade["yes_price"] * 10_000, trade["count"] * 10_000)
            found[trade["ticker"], at_ms // 60_000].append(place)
    return {
        key: (
            min(trades)[2], max(trade[2] for trade in trades), min(trade[2] for trade in trades), max(trades)[2],
            sum(trade[3] for trade in trades), len(trades),
        )
        for key, trades in found.items()
    }  # fmt: skip
