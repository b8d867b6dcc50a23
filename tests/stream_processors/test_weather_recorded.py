"""As-of forecasts and labels of recorded answers equal what a few lines over the same files compute, by other means."""

import csv
import gzip
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from weather import WeatherFold, climate, ns

from stream_processors.operators import labels
from tapefold.payloads import records
from tapefold.payloads.sources import SOURCES
from topics.catalog import ASOF_FORECAST, FACT_CLIMATE, FACT_FORECAST, FACT_POLICY, LABELS
from topics.climate_day import from_iso, offset_of
from topics.codec import decode_asof_forecast, decode_fact, decode_label
from topics.iem import RUN_LAGS
from topics.policies import SHIPPED
from topics.units import NS_PER_S

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SHIPPED_DATA = Path(__file__).resolve().parents[1] / "data"
NOW_NS = 1_795_000_000 * NS_PER_S
EASTERN = ZoneInfo("America/New_York")


def recorded(*parts):
    """A folder of recordings whose licence does not let us ship them."""
    folder = SHARED.joinpath(*parts)
    if not folder.exists():
        pytest.skip(f"needs the recordings {'/'.join(parts)}, which are not shipped (no licence)")
    return folder


def facts_of(source, topic, *paths):
    """The facts that the live parser reads in files."""
    out = []
    records.parse(source, SOURCES[source], paths, None, now_ns=lambda: NOW_NS, out=out.append)
    lines = [json.loads(line) for line in out]
    return [decode_fact(json.dumps(line["value"]).encode()) for line in lines if line["topic"] == topic]


def asof_rows(*paths):
    fold = WeatherFold().feed(FACT_POLICY, *SHIPPED)
    facts = facts_of("iem.mos", FACT_FORECAST, *paths)
    for start in range(0, len(facts), 500):
        fold.feed(FACT_FORECAST, *facts[start : start + 500])
    return fold.rows(ASOF_FORECAST, decode_asof_forecast)


@pytest.mark.parametrize(("model", "column"), [("GFS", "gfs_mos_tmax_f"), ("NAM", "nam_mos_tmax_f")])
@pytest.mark.parametrize(("policy_id", "hours_before"), [("d1-1800", 6), ("d1-1000", 14), ("d0-0700", -7)])
def test_two_years_of_daily_maxima_are_those_of_the_file(model, column, policy_id, hours_before):
    """For each day of the file: its run was known by then and fresh, and its value is the answer; else there is none."""
    path = recorded("iem-mos", "logan-daily-mos-tmax", f"{model.lower()}_mos_knyc_2024on.csv")
    found = asof_rows(path)
    with path.open() as file:
        lines = list(csv.DictReader(file))
    lag = timedelta(seconds=RUN_LAGS[model].lag_ns // NS_PER_S)
    chosen = 0
    for line in lines:
        midnight = datetime.fromisoformat(line["date"]) + timedelta(hours=5)  # 05:00 UTC is midnight standard time
        asof, run = midnight - timedelta(hours=hours_before), datetime.fromisoformat(line["runtime"])
        answer = found[f"asof:KNYC:{line['date']}:{model}:{policy_id}@1"]
        if run + lag <= asof and asof - run <= timedelta(days=1):
            expected = (round(float(line[column])), ns(str(run)), ns(str(run + lag)), None)
            chosen += 1
        else:
            expected = (None, None, None, "too_stale" if run + lag <= asof else "known_too_late")
        assert expected == (answer.tmax_f, answer.chosen_run_ns, answer.known_ns, answer.missing_reason)
    assert chosen > 700 or policy_id != "d1-1800"


def test_a_run_that_was_told_twice_answers_with_its_last_content():
    """A recorded answer that holds each valid time twice, some pairs with other values: the later one in it stands."""
    path = SHIPPED_DATA / "iem-mos" / "nbs_knyc_20251014_07z_duplicated.csv"
    with path.open() as file:
        lines = [line for line in csv.DictReader(file) if line["txn"]]
    last = {line["ftime"]: int(float(line["txn"])) for line in lines}
    found = asof_rows(path)
    for day in ("2025-10-15", "2025-10-16"):
        answer = found[f"asof:KNYC:{day}:NBS:d1-1800@1"]
        if answer.chosen_run_ns is not None:
            after = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
            assert (last[f"{after} 00:00:00"], last[f"{day} 12:00:00"]) == (answer.tmax_f, answer.tmin_f)
    assert found["asof:KNYC:2025-10-15:NBS:d1-1800@1"].tmax_f is not None


def test_labels_of_a_winter_are_the_final_reports_of_the_file():
    """Per day: the high if the report was issued after the day, known at the next eight o'clock; else not final."""
    path = recorded("iem-cli", "jushoya-kmia-daily", "cli_daily_high_KMIA_2025-12-28_2026-04-06.csv")
    fold = WeatherFold().feed(FACT_CLIMATE, *facts_of("iem.cli", FACT_CLIMATE, path))
    found = fold.rows(LABELS, decode_label)
    finals = 0
    with path.open() as file:
        for line in csv.DictReader(file):
            issued = datetime.strptime(line["product"][:12], "%Y%m%d%H%M").replace(tzinfo=UTC)
            label = found[f"label:KMIA:{line['date']}:KXHIGHMIA"]
            day_over = datetime.fromisoformat(line["date"]).replace(tzinfo=UTC) + timedelta(hours=29)
            if issued < day_over:
                assert ("not_final", None) == (label.missing_reason, label.label_f)
                continue
            local = issued.astimezone(EASTERN)
            eight = local.replace(hour=8, minute=0)
            check = eight if local <= eight else eight + timedelta(days=1)
            assert (int(line["high"]), int(check.timestamp())) == (label.label_f, label.check_ns // NS_PER_S)
            finals += 1
    assert finals >= 95


def test_labels_agree_with_the_venue_where_the_files_do():
    """The climate file of Chicago's April 2025 beside the settled events of the same days: equal where both tell a value."""
    reports = recorded("iem-cli", "mostlyright-parity") / "case_2_KMDW_2025-04-01_2025-04-30.json"
    events = recorded("kalshi-rest", "cpratim-weather-trades", "kxhighchi", "events")
    compared = 0
    for line in json.loads(reports.read_bytes()):
        path = events / f"{line['date']}.json.gz"
        if not path.exists():
            continue
        said = {
            market["ticker"]: market["expiration_value"]
            for market in json.loads(gzip.decompress(path.read_bytes()))["markets"]
        }
        morning = (date.fromisoformat(line["date"]) + timedelta(days=1)).isoformat()
        state = labels.Day()
        labels.add_report(
            state, climate(f"{morning} 09:30", line["cli_high_f"], day=line["date"], report="final", station="KMDW")
        )
        for ticker, value in said.items():
            number = int(float(value)) if value else None
            told = labels.Outcome(
                ns(f"{morning} 16:00"), ("raw.kalshi.rest", 0, 1, 0), True, value or None, number, None
            )
            labels.add_outcome(state, ticker, told)
        label = labels.label(state, "KMDW", "KXHIGHCHI", from_iso(line["date"]), offset_of("KMDW"))
        values = {float(value) for value in said.values() if value}
        expected = None if not values else values == {float(line["cli_high_f"])}
        assert (line["cli_high_f"], expected) == (label.label_f, label.agrees)
        compared += expected is not None
    assert compared >= 10
