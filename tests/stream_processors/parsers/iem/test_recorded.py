"""Recorded answers of IEM against an independent count of the same files: every row, every value."""

import csv
import io
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from stream_processors.registry import PARSERS, Told
from topics.catalog import RAW_IEM_CLI, RAW_IEM_MOS
from topics.events import Cause
from topics.log import Record
from topics.weather import Climate, ClimateYear, Forecast, ForecastRun

ROOT = Path(__file__).resolve().parents[4]
DATA = ROOT / "tests/data"
SHARED = ROOT / "../shared/data"
NOW_NS = 1_795_000_000 * 10**9
TYPED = {"n_x", "txn", "xnd", "tmp", "dpt", "tsd", "dsd", "wdr", "wsp", "sky", "p06", "p12"}
UNITS = {"wdr": "wdr_deg", "wsp": "wsp_kt", "sky": "sky_pct", "p06": "p06_pct", "p12": "p12_pct"}
NAMES = {"runtime", "ftime", "station", "model"}
CODES = {999, -99, 998, -98}


def parsed(topic, value, url=b""):
    """Facts and refusals of one file."""
    headers = {"conn": b"c", "received_ns": b"%d" % NOW_NS, "clock": b"wall", "url": url}
    record = Record(topic, 0, 0, 0, None, tuple(headers.items()), value)
    said = list(PARSERS[topic](record, headers, Cause(topic, 0, 0)))
    return [one.fact for one in said if isinstance(one, Told)], [one for one in said if not isinstance(one, Told)]


def shared(name):
    """A file that nobody gave a licence to copy."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs {name}, whose authors gave no licence to copy it (../shared/data)")
    return path


def ns(text):
    """A time of theirs by Python's own reading."""
    at = datetime.fromisoformat(text if re.search(r"[-+]\d\d$", text) is None else f"{text}:00")
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) * 10**9


def rows_of(path):
    """The rows of a CSV, or of COPY, by Python's own reader."""
    text = path.read_text()
    if path.suffix == ".sql":
        names = text[text.index("(") + 1 : text.index(")")].split(",")
        return list(csv.DictReader(io.StringIO(text.partition("\n")[2].partition("\\.")[0]), names))
    return list(csv.DictReader(io.StringIO(text)))


def value_of(text):
    """What a cell means."""
    text = text.strip()
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return int(float(text)) if float(text).is_integer() else float(text)
    return text


@pytest.mark.parametrize(
    "path",
    [
        *sorted((DATA / "iem-mos").glob("*.csv")),
        DATA / "iem-mos/mos_20240802.sql",
        "iem-mos/hyxlab-mex-knyc/mex_knyc_20250701_00z.csv",
    ],
    ids=lambda path: Path(path).name,
)
def test_every_cell_of_every_row_is_in_its_fact(path):
    """Row by row: names, times, typed values, and all else in `extra`; codes that are no value are NULL and kept."""
    path = path if isinstance(path, Path) else shared(path)
    facts, refused = parsed(RAW_IEM_MOS, path.read_bytes())
    forecasts = [fact for fact in facts if isinstance(fact, Forecast)]
    rows = rows_of(path)
    assert [] == refused
    assert len(rows) == len(forecasts)
    for row, fact in zip(rows, forecasts, strict=True):
        said = {name: value_of(text) for name, text in row.items() if name not in NAMES and text.strip()}
        extra = msgspec.json.decode(fact.extra)
        assert [row["station"], row["model"], ns(row["runtime"]), ns(row["ftime"])] == [
            fact.station,
            fact.label,
            fact.run_ns,
            fact.event_ns,
        ]
        for name in TYPED:
            told = said.pop(name, None)
            field = getattr(fact, UNITS.get(name, f"{name}_f"))
            assert (None if told in CODES else told) == field, (name, row)
            if told in CODES:
                assert told == extra.pop(name)
        said.pop("t12", None), said.pop("t06", None)  # `a/b` of columns that stand beside them
        assert said == extra


def test_a_run_that_was_sent_twice_keeps_both_contents():
    """46 rows, 23 valid times, 11 of them with two contents: 34 revisions, and the run says so."""
    facts, _ = parsed(RAW_IEM_MOS, (DATA / "iem-mos/nbs_knyc_20251014_07z_duplicated.csv").read_bytes())
    forecasts = [fact for fact in facts if isinstance(fact, Forecast)]
    (run,) = [fact for fact in facts if isinstance(fact, ForecastRun)]
    assert [46, 34] == [len(forecasts), len({(fact.event_ns, fact.revision) for fact in forecasts})]
    assert [23, 11, 23, None] == [run.valid_times, run.conflicts, run.expected, run.reason]


def test_all_six_models_of_a_table_are_whole_runs():
    """12 runs, each with all the valid times that its calendar promises."""
    facts, _ = parsed(RAW_IEM_MOS, (DATA / "iem-mos/mos_20240802.sql").read_bytes())
    runs = [fact for fact in facts if isinstance(fact, ForecastRun)]
    assert {"GFS": 21, "LAV": 38, "MEX": 15, "NAM": 21, "NBE": 21, "NBS": 23} == {
        run.model: run.valid_times for run in runs
    }
    assert [None] * 12 == [run.reason for run in runs]
    assert {"KAMW": 6, "KDSM": 6} == Counter(run.station for run in runs)


@pytest.mark.parametrize(
    ("name", "station", "model"),
    [("gfs_mos_knyc", "KNYC", "GFS"), ("gfs_mos_kord", "KORD", "GFS"), ("nam_mos_knyc", "KNYC", "NAM")],
)
def test_daily_maxima_that_others_made_are_forecasts(name, station, model):
    """The maximum of a day is the run's value for 00Z of the next; the station stands in the file's name."""
    path = shared(f"iem-mos/logan-daily-mos-tmax/{name}_2024on.csv")
    facts, refused = parsed(RAW_IEM_MOS, path.read_bytes(), f"file:{path.name}".encode())
    rows = [row for row in rows_of(path) if row[f"{model.lower()}_mos_tmax_f"]]
    told = [fact for fact in facts if isinstance(fact, Forecast)]
    assert [] == refused
    assert [(station, model)] == list({(fact.station, fact.model) for fact in told})
    assert [
        (ns(row["runtime"]), ns(row["date"]) + 86_400 * 10**9, float(row[f"{model.lower()}_mos_tmax_f"]))
        for row in rows
    ] == [(fact.run_ns, fact.event_ns, fact.n_x_f) for fact in told]


@pytest.mark.parametrize(
    ("name", "station", "count", "field", "values"),
    [
        ("MAVWC0", "KEED", 21, "n_x_f", [68, 48, 68, 42, 67]),
        (
            "MAVWC0",
            "KEED",
            21,
            "wdr_deg",
            [300, 300, 310, 320, 360, 20, 10, 340, 340, 320, 310, 320, 10, 20, 10, 320, 310, 300, 270, 10, 20],
        ),
        ("MEXNC1", "KY63", 15, "n_x_f", [62, 73, 61, 78, 64, 81, 62, 74, 57, 74, 58, 74, 55, 78, 60]),
        ("MEXAFG", "PAOR", 15, "n_x_f", [15, 0, 17, 9, 17, 3, 13, -2, 9, 0, 8, -13, 10, -7, 7]),
        ("NBXUSA", "CWCD", 6, "tmp_f", [83, 61, 81, 60, 77, 58]),
        ("NBS_12Z", "KDSM", 23, "txn_f", [72, 49, 59, 47, 61, 44]),
        ("NBSUSA", "KALM", 21, "n_x_f", [47, 72, 42, 58]),
        ("MET_empty", "PHSF", 21, "n_x_f", [66, 45, 67, 43, 68]),
    ],
)
def test_a_bulletin_has_the_values_of_its_card(name, station, count, field, values):
    """Columns of fixed width, as a person reads them off the card."""
    facts, refused = parsed(RAW_IEM_MOS, (DATA / f"iem-mos/{name}.txt").read_bytes())
    told = [fact for fact in facts if isinstance(fact, Forecast) and fact.station == station]
    assert [] == refused
    assert count == len(told)
    assert values == [getattr(fact, field) for fact in told if getattr(fact, field) is not None]


def test_the_maximum_of_a_bulletin_stands_at_its_valid_time():
    """MAV of 2014-01-01 00Z at KEED: 68 degrees at 00Z of January 2, the afternoon of January 1."""
    facts, _ = parsed(RAW_IEM_MOS, (DATA / "iem-mos/MAVWC0.txt").read_bytes())
    maxima = {fact.event_ns: fact.n_x_f for fact in facts if isinstance(fact, Forecast) and fact.station == "KEED"}
    assert 68 == maxima[ns("2014-01-02 00:00")]
    assert 48 == maxima[ns("2014-01-02 12:00")]


@pytest.mark.parametrize("name", ["NBS_badheader", "NBS_badtime"])
def test_a_broken_bulletin_is_refused(name):
    """No row of it becomes a fact."""
    facts, refused = parsed(RAW_IEM_MOS, (DATA / f"iem-mos/{name}.txt").read_bytes())
    assert [] == facts
    assert ["bad_value"] == [one.error.reason for one in refused]


def test_daily_rows_have_the_highs_and_lows_of_the_file():
    """100 days of Miami by product; one has no low; a preliminary report of February 21 stood as the last."""
    path = shared("iem-cli/jushoya-kmia-daily/cli_daily_high_KMIA_2025-12-28_2026-04-06.csv")
    facts, refused = parsed(RAW_IEM_CLI, path.read_bytes())
    told = [fact for fact in facts if isinstance(fact, Climate)]
    rows = rows_of(path)
    assert [] == refused
    assert [
        (row["station"], row["date"], row["high"], row["low"], row["high_time"], row["product"]) for row in rows
    ] == [
        (
            fact.station,
            fact.day,
            "" if fact.high_f is None else str(fact.high_f),
            "" if fact.low_f is None else str(fact.low_f),
            fact.high_time or "",
            fact.product,
        )
        for fact in told
    ]
    assert ["2026-02-21"] == [fact.day for fact in told if fact.report == "preliminary"]
    assert all(fact.known_ns == fact.issued_ns + 600 * 10**9 for fact in told)
    assert [(2025, 4, None), (2026, 96, None)] == [
        (fact.year, fact.days, fact.reason) for fact in facts if isinstance(fact, ClimateYear)
    ]


def test_missing_is_not_absent_and_not_a_number():
    """`M` is told as missing; null is not told; a later product of the next day makes the day final."""
    facts, refused = parsed(RAW_IEM_CLI, (DATA / "iem-cli/iem_cli_atl_sample.json").read_bytes())
    told = [fact for fact in facts if isinstance(fact, Climate)]
    assert [] == refused
    assert [(52, 34), (None, 28), (48, None), (55, 38), (60, 42), (None, None)] == [
        (fact.high_f, fact.low_f) for fact in told
    ]
    assert [(), ("high",), (), (), (), ("high",)] == [fact.missing for fact in told]
    assert ["final"] * 3 + ["preliminary"] * 2 + ["final"] == [fact.report for fact in told]


def test_rows_without_a_product_are_known_the_next_noon():
    """Central Park, a week of January 2025: the report is called final, nothing says when it came."""
    facts, _ = parsed(RAW_IEM_CLI, (DATA / "iem-cli/case_1_KNYC_2025-01-06_2025-01-12.json").read_bytes())
    told = [fact for fact in facts if isinstance(fact, Climate)]
    assert 7 == len(told)
    assert ("KNYC", "2025-01-06", 30, 22, "", "final") == (
        told[0].station,
        told[0].day,
        told[0].high_f,
        told[0].low_f,
        told[0].product,
        told[0].report,
    )
    assert ns("2025-01-07 17:10") == told[0].known_ns  # midnight of New York is 05Z; noon, and ten minutes


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("CLINYC", [("KNYC", "2013-01-02", 33, 22, "final", "201301030616-KOKX-CDUS41-CLINYC", False)]),
        ("CLIECP", [("KECP", "2014-12-29", 70, 62, "preliminary", "201412292235-KTAE-CDUS42-CLIECP", False)]),
        ("CLICVG_older", [("KCVG", "2020-04-22", 68, 35, "final", "202004230546-KILN-CDUS41-CLICVG", False)]),
        ("CLICVG_newer", [("KCVG", "2020-04-22", 70, 35, "final", "202004230550-KILN-CDUS41-CLICVG", False)]),
        ("CLIEWN", [("KEWN", "2014-09-28", 83, 62, "final", "201410181330-KMHX-CDUS42-CLIEWN", True)]),
        ("CLIEST", [("KEST", "2014-10-12", 62, 33, "final", "201410130647-KDMX-CDUS43-CLIEST-RRA", False)]),
        ("CLIPPG3", [("NPPG", "2022-02-06", 89, 82, "preliminary", "202202070358-NSTU-CDZS40-CLIPPG", False)]),
    ],
)
def test_a_text_says_what_a_reader_reads(name, told):
    """Station, climate day, high and low, whether the day was over, the product's id, whether it corrects."""
    facts, refused = parsed(RAW_IEM_CLI, (DATA / f"iem-cli/{name}.txt").read_bytes())
    assert [] == refused
    assert told == [
        (fact.station, fact.day, fact.high_f, fact.low_f, fact.report, fact.product, fact.correction) for fact in facts
    ]


def test_a_preliminary_report_says_up_to_when():
    """Panama City at 5 PM EST: 22Z; its high is the highest so far."""
    ((fact,), _) = parsed(RAW_IEM_CLI, (DATA / "iem-cli/CLIECP.txt").read_bytes())
    assert ns("2014-12-29 22:00") == fact.through_ns
    assert ns("2014-12-29 22:35") == fact.issued_ns < fact.known_ns


def test_a_text_has_normals_records_rain_and_snow():
    """Central Park on January 2, 2013: the columns right of the observed value, and the depths below."""
    ((fact,), _) = parsed(RAW_IEM_CLI, (DATA / "iem-cli/CLINYC.txt").read_bytes())
    assert [39, 28, 68, 2] == [fact.high_normal_f, fact.low_normal_f, fact.high_record_f, fact.low_record_f]
    assert [0, 0, 0, "301 PM", "743 AM"] == [
        fact.precip_e2,
        fact.snow_e1,
        fact.snow_depth_in,
        fact.high_time,
        fact.low_time,
    ]
    assert "HIGHEST WIND SPEED    15" in msgspec.json.decode(fact.extra)["text"]


@pytest.mark.parametrize(
    ("name", "day", "high", "low", "depths"),
    [
        ("CLIDCA", "2026-06-28", (76, "6:27 PM", 89, 100), (72, "8:46 AM", 71, 54), (33, 0, 0)),
        ("CLICVG_colon", "2021-02-04", (39, "11:29 PM", 40, 70), (22, "12:43 AM", 24, -11), (14, None, 1)),
        ("CLIRDU_v2", "2021-03-20", (57, "300 PM", 65, 88), (31, "651 AM", 41, 22), (None, 0, 0)),
    ],
)
def test_a_text_of_today_s_form_has_times_normals_and_records(name, day, high, low, depths):
    """Times with a colon, and an E for a value that is estimated: all columns behind them are read all the same."""
    ((fact,), refused) = parsed(RAW_IEM_CLI, (DATA / f"iem-cli/{name}.txt").read_bytes())
    assert [] == refused
    assert day == fact.day
    assert high == (fact.high_f, fact.high_time, fact.high_normal_f, fact.high_record_f)
    assert low == (fact.low_f, fact.low_time, fact.low_normal_f, fact.low_record_f)
    assert depths == (fact.precip_e2, fact.snow_e1, fact.snow_depth_in)


def test_a_product_of_several_stations_has_a_fact_for_each():
    """Houston's product speaks of two stations under one name; each is known by its headline."""
    facts, refused = parsed(RAW_IEM_CLI, (DATA / "iem-cli/CLIHOU.txt").read_bytes())
    assert [] == refused
    assert [("KIAH", 80, 61), ("KHOU", 79, 62)] == [(fact.station, fact.high_f, fact.low_f) for fact in facts]


def test_a_climate_day_is_over_at_standard_midnight():
    """In summer a report at 04:30Z is of a New York day that still has half an hour."""
    row = '[{"station":"KNYC","valid":"2026-07-01","high":90,"low":70,"product":"2026070204%s-KOKX-CDUS41-CLINYC"}]'
    assert ["preliminary"] == [parsed(RAW_IEM_CLI, (row % "30").encode())[0][0].report]
    row = row.replace("2026070204%s", "2026070205%s")
    assert ["final"] == [parsed(RAW_IEM_CLI, (row % "00").encode())[0][0].report]
