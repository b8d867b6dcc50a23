"""What an answer shows of what was asked for: whole, absent, partial, cut off, or nothing at all; and when it was known."""

import json

import pytest

from stream_processors.registry import PARSERS, Told
from topics.catalog import RAW_IEM_CLI, RAW_IEM_MOS
from topics.errors import BadRecord
from topics.events import Cause
from topics.iem import promised
from topics.log import Record
from topics.units import NS_PER_DAY, NS_PER_HOUR
from topics.weather import Climate, ClimateYear, Forecast, ForecastRun

S = 10**9
RUN = 1_768_478_400 * S  # 2026-01-15 12:00Z
NOW = RUN + 5 * NS_PER_HOUR
MOS = "https://x/cgi-bin/request/mos.py?station=KMIA&model=GFS&sts=2026-01-15T12:00Z&ets=2026-01-15T12:00Z&format=csv"
HEADER = "runtime,ftime,model,n_x,tmp,station\n"


def text_of(ns):
    from datetime import UTC, datetime  # noqa: PLC0415  # only here

    return datetime.fromtimestamp(ns // S, UTC).strftime("%Y-%m-%d %H:%M:%S")


def rows(run_ns=RUN, model="GFS", skip=(), tmp=70):
    """The lines of a run with all its valid times but those left out."""
    return "".join(
        f"{text_of(run_ns)},{text_of(valid)},{model},,{tmp},KMIA\n"
        for index, valid in enumerate(promised("GFS", run_ns))
        if index not in skip
    )


def told(topic, value, url=MOS, **headers):
    """Facts and refusals."""
    stamped = {"conn": b"c", "received_ns": b"%d" % NOW, "clock": b"wall", "url": url.encode(), "status": b"200"}
    stamped |= {name: str(text).encode() for name, text in headers.items()}
    value = value if isinstance(value, bytes) else value.encode()
    record = Record(topic, 0, 0, 0, None, tuple(stamped.items()), value)
    said = list(PARSERS[topic](record, stamped, Cause(topic, 2, 7)))
    return [one.fact for one in said if isinstance(one, Told)], [one for one in said if not isinstance(one, Told)]


def the_run(value, **headers):
    """The one run that an answer speaks of."""
    facts, _ = told(RAW_IEM_MOS, value, **headers)
    (run,) = [fact for fact in facts if isinstance(fact, ForecastRun)]
    return run


def test_a_run_with_all_valid_times_is_whole():
    """21 of 21: positive evidence; the rows and the run have causes counted through."""
    facts, refused = told(RAW_IEM_MOS, HEADER + rows())
    assert [] == refused
    assert [("forecast", index) for index in range(21)] + [("run", 21)] == [
        ("run" if isinstance(fact, ForecastRun) else "forecast", fact.cause.index) for fact in facts
    ]
    assert (None, 21, 21, 0) == (facts[-1].reason, facts[-1].valid_times, facts[-1].expected, facts[-1].conflicts)


@pytest.mark.parametrize(
    ("body", "status", "reason", "refusals"),
    [
        (HEADER, 200, "absent", 0),
        ("[]", 200, "absent", 0),
        (HEADER + rows(skip=(3,)), 200, "partial", 0),
        ((HEADER + rows())[:-9], 200, "truncated", 1),
        ("ERROR: Query took too long", 200, "upstream_error", 1),
        ("ERROR: Could not Find: GFS", 200, "not_found", 1),
        ("", 200, "not_a_table", 1),
        ("<html>Oopsy</html>", 200, "not_a_table", 1),
        ('[{"runtime":"2026-01', 200, "truncated", 1),
        ("slow down", 429, "throttled", 1),
        ("", 503, "throttled", 1),
        ("Oopsy", 500, "upstream_error", 1),
        ("", 502, "upstream_error", 1),
        ("", 504, "upstream_error", 1),
        ("no", 404, "not_found", 1),
        ("bad args", 422, "bad_request", 1),
        ("moved", 301, "bad_request", 1),
    ],
)
def test_every_way_of_not_being_data_has_its_name(body, status, reason, refusals):
    """An answer of 200 is no data by itself, and an answer that is no data is a row with a reason."""
    facts, refused = told(RAW_IEM_MOS, body, status=status)
    (run,) = [fact for fact in facts if isinstance(fact, ForecastRun)]
    assert (reason, status, NOW, NOW) == (run.reason, run.status, run.known_ns, run.received_ns)
    assert refusals == len(refused)


def test_a_window_names_each_run_that_is_not_there():
    """A day of GFS has four runs; one of them came."""
    url = MOS.replace("sts=2026-01-15T12:00Z", "sts=2026-01-15T00:00Z").replace(
        "ets=2026-01-15T12:00Z", "ets=2026-01-15T18:00Z"
    )
    facts, _ = told(RAW_IEM_MOS, HEADER + rows(), url)
    assert ["absent", "absent", None, "absent"] == [fact.reason for fact in facts if isinstance(fact, ForecastRun)]


def test_a_cut_off_body_says_nothing_of_what_stood_behind_the_cut():
    """Before the cut a missing run is absent, behind it nobody knows."""
    url = MOS.replace("sts=2026-01-15T12:00Z", "sts=2026-01-15T00:00Z").replace(
        "ets=2026-01-15T12:00Z", "ets=2026-01-15T18:00Z"
    )
    facts, _ = told(RAW_IEM_MOS, (HEADER + rows())[:-5], url)
    assert ["absent", "absent", "truncated", "truncated"] == [f.reason for f in facts if isinstance(f, ForecastRun)]


@pytest.mark.parametrize(("model", "label"), [("GFS", "AVN"), ("NAM", "ETA")])
def test_an_old_label_stands_within_its_model(model, label):
    """AVN rows come with GFS, ETA rows with NAM: the fact has both names."""
    facts, refused = told(RAW_IEM_MOS, HEADER + rows(model=label), MOS.replace("GFS", model))
    assert [] == refused
    assert {(model, label)} == {(fact.model, fact.label) for fact in facts if isinstance(fact, Forecast)}
    assert {None} == {fact.reason for fact in facts if isinstance(fact, ForecastRun)}


def test_rows_of_another_model_are_refused():
    """Whoever asked for NAM and got GFS must not find it in NAM."""
    facts, refused = told(RAW_IEM_MOS, HEADER + rows(), MOS.replace("GFS", "NAM"))
    assert 21 == len(refused)
    assert not [fact for fact in facts if isinstance(fact, Forecast)]


def test_the_same_content_has_the_same_revision_in_every_dialect():
    """CSV of the script, JSON of the script, JSON of the API, the legacy page with its comma too many."""
    run, valid = text_of(RUN), text_of(RUN + 6 * NS_PER_HOUR)
    csv = f"runtime,ftime,model,tmp,wdr,t06_1,t06_2,station,t06\n{run},{valid},GFS,40.0,90,3.0,4,KMIA,3/4\n"
    row = {"model": "GFS", "station": "KMIA", "tmp": 40, "wdr": 90.0, "t06": "3/4"}
    script = [row | {"runtime": run.replace(" ", "T") + ".000", "ftime": valid.replace(" ", "T") + ".000", "n_x": None}]
    api = {"schema": {"fields": []}, "data": [row | {"runtime": run[:16], "ftime": valid[:16], "runtime_utc": run}]}
    legacy = f"station,model,runtime,ftime,n_x,tmp,wdr,t06\nKMIA,GFS,{run},{valid},,40,90,3/4,\n"
    revisions = set()
    for body in (csv, json.dumps(script), json.dumps(api), legacy):
        facts, refused = told(RAW_IEM_MOS, body)
        assert [] == refused
        revisions.add((facts[0].revision, facts[0].run_ns, facts[0].event_ns, facts[0].tmp_f, bytes(facts[0].extra)))
    assert 1 == len(revisions)


def test_runs_off_the_hour_and_leads_of_many_days_are_refused():
    """As many runs can speak of one day as there are hours in the longest lead: what is kept of a day is bounded by that."""
    valid = RUN + 20 * NS_PER_DAY
    said = [(RUN, valid, 0), (RUN, valid + S, 1), (RUN + 60 * S, RUN + NS_PER_HOUR, 1)]
    for run_ns, valid_ns, refusals in said:
        _, refused = told(RAW_IEM_MOS, HEADER + f"{text_of(run_ns)},{text_of(valid_ns)},GFS,70,,KMIA\n")
        assert refusals == len(refused)


@pytest.mark.parametrize("code", [999, -99, 998, -98])
def test_codes_that_are_no_value_are_missing_and_kept(code):
    """NBM's codes for missing and for beyond what the card can show: no temperature, but not lost either."""
    facts, _ = told(RAW_IEM_MOS, (HEADER + rows()).replace(",,70,", f",,{code},", 1))
    assert (None, b'{"tmp":%d}' % code, 70) == (facts[0].tmp_f, bytes(facts[0].extra), facts[1].tmp_f)


def test_a_headline_may_say_that_it_corrects(request):
    """New Bern's product says so twice; each of the two is enough."""
    text = (request.config.rootpath / "tests/data/iem-cli/CLIEWN.txt").read_text()
    for body in (text.replace(" (CORRECTION)", ""), text.replace(" CORRECTION...", "...")):
        assert [True] == [fact.correction for fact in told(RAW_IEM_CLI, body, "file:x")[0]]
    plain = text.replace(" (CORRECTION)", "").replace(" CORRECTION...", "...")
    assert [False] == [fact.correction for fact in told(RAW_IEM_CLI, plain, "file:x")[0]]


def test_a_run_that_came_while_we_watched_is_observed():
    """The receive stamp is when it came, to within the last answer without it."""
    run = the_run(HEADER + rows(), seen="first", absent_ns=NOW - 60 * S)
    assert (NOW, "observed", NOW - 60 * S) == (run.known_ns, run.known_by, run.absent_ns)


def test_a_run_that_was_there_when_we_first_asked_is_not_observed():
    """It came at some time before: nominal time and the assumed lag, never later than we had it."""
    run = the_run(HEADER + rows(), seen="pre_existing")
    assert (RUN + 5 * NS_PER_HOUR, "assumed") == (run.known_ns, run.known_by)
    early = the_run(HEADER + rows(), seen="pre_existing", received_ns=RUN + NS_PER_HOUR)
    assert (RUN + NS_PER_HOUR, "assumed") == (early.known_ns, early.known_by)


def test_history_takes_a_measured_lag_where_there_is_one():
    """The producer stamps it; the fact says that it is modelled."""
    run = the_run(HEADER + rows(), received_ns=RUN + 400 * NS_PER_DAY, lag_ns=4 * NS_PER_HOUR)
    assert (RUN + 4 * NS_PER_HOUR, "modelled") == (run.known_ns, run.known_by)


def test_a_tape_observes_nothing():
    """The time that a recording has reached is a rule."""
    assert "assumed" == the_run(HEADER + rows(), seen="first", clock="tape").known_by


@pytest.mark.parametrize(
    "headers",
    [{"status": "20"}, {"seen": "maybe"}, {"absent_ns": "x"}, {"lag_ns": "-1"}, {"url": "http://[x"}, {"conn": ""}],
)
def test_headers_that_are_not_ours_refuse_the_record(headers):
    """Whatever wrote it was not our producer."""
    with pytest.raises(BadRecord, match="missing_header"):
        told(RAW_IEM_MOS, HEADER, **headers)


CLI = "https://x/json/cli.py?station=KNYC&year=2026"


def days(*highs, first=1):
    """Rows of January days."""
    return json.dumps(
        {
            "results": [
                {
                    "station": "KNYC",
                    "valid": f"2026-01-{day:02}",
                    "high": high,
                    "product": f"202601{day + 1:02}0616-KOKX-CDUS41-CLINYC",
                }
                for day, high in enumerate(highs, first)
                if high != "hole"
            ]
        }
    )


def test_a_year_names_the_days_that_are_missing():
    """Up to the last day whose final report must be there: on January 15, 17Z, that of the 14th."""
    facts, _ = told(RAW_IEM_CLI, days(*range(30, 35), "hole", *range(36, 44)), CLI)
    assert ("partial", ("2026-01-06",), "2026-01-01", "2026-01-14") == (
        facts[-1].reason,
        facts[-1].missing_days,
        facts[-1].from_day,
        facts[-1].to_day,
    )
    facts, _ = told(RAW_IEM_CLI, days(*range(30, 44)), CLI)
    assert (None, ()) == (facts[-1].reason, facts[-1].missing_days)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ('{"results":[]}', 200, "absent"),
        ("", 200, "not_a_table"),
        ("x", 429, "throttled"),
        ("x", 422, "bad_request"),
        ('{"results":[{"sta', 200, "truncated"),
    ],
)
def test_a_year_without_rows_says_why(body, status, reason):
    """An unknown station answers 200 with an empty list: that is no climate."""
    facts, _ = told(RAW_IEM_CLI, body, CLI, status=status)
    (year,) = facts
    assert isinstance(year, ClimateYear)
    assert reason == year.reason


def test_traces_and_missing_values_are_no_numbers():
    """0.0001 of an inch is how IEM stores a trace, `T` how it sends one; both are NULL, and said."""
    row = {
        "station": "KNYC",
        "valid": "2026-01-02",
        "high": "M",
        "low": 20,
        "precip": 0.0001,
        "snow": "T",
        "precip_month": 1.25,
    }
    facts, _ = told(RAW_IEM_CLI, json.dumps([row | {"product": "202601030616-KOKX-CDUS41-CLINYC-CCA"}]), "file:x")
    day = facts[0]
    assert isinstance(day, Climate)
    assert (None, 20, None, None, ("high",), ("precip", "snow"), True) == (
        day.high_f,
        day.low_f,
        day.precip_e2,
        day.snow_e1,
        day.missing,
        day.trace,
        day.correction,
    )
    assert b'{"precip_month":1.25}' == bytes(day.extra)


def test_a_report_is_known_when_it_came_or_some_minutes_after_it_was_issued():
    """Observed by a live recorder that had asked before; else the header's time and ten minutes."""
    facts, _ = told(RAW_IEM_CLI, days(33), CLI, seen="first", absent_ns=NOW - 1)
    assert (NOW, "observed") == (facts[0].known_ns, facts[0].known_by)
    facts, _ = told(RAW_IEM_CLI, days(33), CLI)
    assert (facts[0].issued_ns + 600 * S, "assumed") == (facts[0].known_ns, facts[0].known_by)


def test_several_products_stand_in_one_answer(request):
    """As the archive sends them, each between two control characters; every issuance is a fact of its own."""
    data = request.config.rootpath / "tests/data/iem-cli"
    texts = [(data / f"CLICVG_{name}.txt").read_text() for name in ("older", "newer")]
    facts, refused = told(
        RAW_IEM_CLI, "".join(f"\x01\n{text}\n\x03\n" for text in texts), "https://x/cgi-bin/afos/retrieve.py?pil=CLICVG"
    )
    assert [] == refused
    assert [("202004230546-KILN-CDUS41-CLICVG", 68), ("202004230550-KILN-CDUS41-CLICVG", 70)] == [
        (fact.product, fact.high_f) for fact in facts
    ]


@pytest.mark.parametrize(
    "issued", ["1116 PM EST FRI DEC 31 9999", "1201 AM CHST MON JAN 01 0001", "1116 PM EST FRI DEC 31 2100"]
)
def test_a_report_of_an_end_of_the_calendar_is_refused(issued):
    """UTC is past the last day that there is, or before the first: the product is refused, and the reader goes on."""
    header = "CDUS41 KOKX 312316\nCLINYC\n\n"
    body = "...THE CENTRAL PARK NY CLIMATE SUMMARY FOR JANUARY 2 2013...\nTEMPERATURE (F)\n YESTERDAY\n  MAXIMUM  33\n"
    facts, refused = told(RAW_IEM_CLI, f"{header}{issued}\n\n{body}", url="")
    assert [] == facts
    assert ["bad_value"] == [one.error.reason for one in refused]
    assert "expected a year from 1970 to 2099" in refused[0].error.detail


@pytest.mark.parametrize("day", ["12/31/9999", "1/01/0001", "12/31/2100"])
@pytest.mark.parametrize(("title", "row"), [("GFS MOS", "HR   00 06 12"), ("NBM V4.1 NBS", "FHR  06 12 18")])
def test_a_bulletin_of_an_end_of_the_calendar_is_refused(day, title, row):
    """No hour can be added to the last day; the block is refused, and the one behind it is read."""
    block = "K%s   %s GUIDANCE    %s  1800 UTC\n%s\nTMP  48 46 45\n\n"
    value = block % ("EED", title, day, row) + block % ("MIA", title, "1/15/2026", row)
    facts, refused = told(RAW_IEM_MOS, value, url="")
    assert {"KMIA"} == {fact.station for fact in facts}
    assert ["bad_value"] == [one.error.reason for one in refused]
    assert "expected a year from 1970 to 2099" in refused[0].error.detail
