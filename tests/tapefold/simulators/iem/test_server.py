"""The simulated IEM, asked over HTTP by the real door and by plain requests."""

import asyncio
import contextlib
import json
from pathlib import Path

import httpx
import pytest
from faults import always

from producers.iem import ask
from producers.iem.clock import Clock
from producers.iem.door import Door
from producers.iem.look import valid_times
from stream_processors.registry import PARSERS, Told
from tapefold.simulators.iem.archive import Archive
from tapefold.simulators.iem.faults import Faults
from tapefold.simulators.iem.generated import Chances, Generated
from tapefold.simulators.iem.server import Simulator, serve
from topics.catalog import RAW_IEM_CLI, RAW_IEM_MOS
from topics.events import Cause
from topics.log import Record
from topics.units import NS_PER_DAY, NS_PER_HOUR
from topics.weather import Climate, Forecast, ForecastRun

S = 10**9
RUN = 1_768_478_400 * S  # 2026-01-15 12:00Z
DATA = Path(__file__).resolve().parents[3] / "data"


class Hand:
    """A clock that is moved by hand."""

    def __init__(self, now_ns):
        self.ns = now_ns

    def __call__(self):  # noqa: D102
        return self.ns


@contextlib.asynccontextmanager
async def simulated(hand, holdings=None, *, faults=None, chances=None, seed=3):
    """A simulator and its URL."""
    holdings = holdings or Generated(["KNYC", "KMIA"], seed=seed, chances=chances or Chances())
    simulator = Simulator(holdings, Clock(hand), faults=faults or Faults(), seed=seed)
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(simulator, port=0, on_ready=url.set_result, stop=stop))
    try:
        yield simulator, await url
    finally:
        stop.set()
        await task


def asked(hand, *paths, **world):
    """The answers to some paths."""

    async def main():
        async with simulated(hand, **world) as (simulator, url), httpx.AsyncClient(trust_env=False) as client:
            return [await client.get(url + path) for path in paths], simulator.counters

    return asyncio.run(main())


def facts(topic, value, url):
    headers = {
        "conn": b"c",
        "received_ns": b"%d" % (RUN + 60 * NS_PER_DAY),
        "clock": b"wall",
        "status": b"200",
        "url": url.encode(),
    }
    said = PARSERS[topic](Record(topic, 0, 0, 0, None, (), value), headers, Cause(topic, 0, 0))
    return [one.fact if isinstance(one, Told) else one for one in said]


MOS = ask.run("KMIA", "GFS", RUN).url("")


def test_a_run_is_there_when_it_is_out_and_not_before():
    """An hour after its nominal time there is a header with all columns and no row; six hours after, 21 rows."""
    early, _ = asked(Hand(RUN + NS_PER_HOUR), MOS)
    late, _ = asked(Hand(RUN + 6 * NS_PER_HOUR), MOS)
    assert (200, 1) == (early[0].status_code, early[0].text.count("\n"))
    assert len(early[0].text.split(",")) > 60
    assert 21 == len(valid_times(late[0].content))
    assert len(late[0].text.partition("\n")[0].split(",")) < 20  # all-null columns are not sent


@pytest.mark.parametrize("model", ["GFS", "MEX", "NAM", "LAV", "NBS", "NBE"])
def test_every_model_is_read_whole_by_the_live_parser(model):
    """Rows as sent, in CSV and in JSON: no refusal, whole runs, the same revisions."""
    path = ask.window("KNYC", model, RUN - NS_PER_DAY, RUN).url("")
    (csv, js), _ = asked(Hand(RUN + NS_PER_DAY), path, path.replace("format=csv", "format=json"))
    told = facts(RAW_IEM_MOS, csv.content, path)
    runs = [fact for fact in told if isinstance(fact, ForecastRun)]
    assert runs
    assert {None} == {run.reason for run in runs}
    assert [fact.revision for fact in told if isinstance(fact, Forecast)] == [
        fact.revision for fact in facts(RAW_IEM_MOS, js.content, path) if isinstance(fact, Forecast)
    ]


def test_forecasts_verify_against_the_reports():
    """The maximum that GFS gives for 00Z is near the high that the report of that day has, more often than chance."""
    path = ask.window("KNYC", "GFS", RUN, RUN + 20 * NS_PER_DAY).url("")
    texts = ask.texts("KNYC", RUN, RUN + 22 * NS_PER_DAY).url("")
    (csv, reports), _ = asked(Hand(RUN + 30 * NS_PER_DAY), path, texts)
    highs = {fact.day: fact.high_f for fact in facts(RAW_IEM_CLI, reports.content, texts) if fact.report == "final"}
    misses = [
        abs(fact.n_x_f - highs[day])
        for fact in facts(RAW_IEM_MOS, csv.content, path)
        if isinstance(fact, Forecast)
        and fact.event_ns % NS_PER_DAY == 0
        and (day := ask.day_of(fact.event_ns - NS_PER_DAY)) in highs
    ]
    assert len(misses) > 40
    assert sum(misses) / len(misses) < 3


def test_every_issuance_is_in_the_texts_and_only_the_last_in_the_rows():
    """Preliminary, final and corrected; the preliminary high is at most the final one."""
    texts, rows = ask.texts("KMIA", RUN, RUN + 5 * NS_PER_DAY).url(""), ask.year("KMIA", 2026).url("")
    (text, row), _ = asked(Hand(RUN + 9 * NS_PER_DAY), texts, rows, chances=Chances(correction=1.0))
    told = facts(RAW_IEM_CLI, text.content, texts)
    day = [fact for fact in told if fact.day == "2026-01-16"]
    assert ["preliminary", "final", "final"] == [fact.report for fact in day]
    assert [False, False, True] == [fact.correction for fact in day]
    assert day[0].high_f <= day[1].high_f == day[2].high_f - 1
    (last,) = [
        fact for fact in facts(RAW_IEM_CLI, row.content, rows) if isinstance(fact, Climate) and fact.day == "2026-01-16"
    ]
    assert (day[2].product, day[2].high_f, day[2].revision) == (last.product, last.high_f, last.revision)


def test_no_product_is_an_error_that_is_no_http_error():
    """As the archive of texts answers."""
    (answer, bad), _ = asked(
        Hand(RUN), "/cgi-bin/afos/retrieve.py?pil=CLIXXX&limit=9", "/cgi-bin/afos/retrieve.py?pil=!&limit=9"
    )
    assert (200, "ERROR: Could not Find: CLIXXX") == (answer.status_code, answer.text)
    assert 422 == bad.status_code


def test_the_api_has_one_run_and_404_without_one():
    """JSON in pandas' table form, text with 51 fixed columns; arguments out of range are 422."""
    base = "/api/1/mos.%s?station=KNYC&station=KMIA&model=GFS&runtime=2026-01-15T12:00Z"
    answers, _ = asked(
        Hand(RUN + NS_PER_DAY),
        base % "json",
        base % "txt",
        base.replace("2026-01-15", "2001-01-15") % "json",
        "/api/1/mos.json?model=GFS",
    )
    assert 42 == len(json.loads(answers[0].text)["data"])
    assert 51 == len(answers[1].text.partition("\n")[0].split(","))
    assert [404, 422] == [answer.status_code for answer in answers[2:]]
    assert [] == [
        fact
        for fact in facts(RAW_IEM_MOS, answers[1].content, "file:x")
        if not isinstance(fact, (Forecast, ForecastRun))
    ]


def test_the_legacy_page_has_a_comma_too_many_and_is_read():
    """35 columns, 36 fields."""
    (answer,), _ = asked(Hand(RUN + NS_PER_DAY), "/mos/csv.php?station=KNYC&model=GFS&runtime=2026-01-15+12:00")
    assert 35 == len(answer.text.partition("\n")[0].split(","))
    assert 22 == len(
        [fact for fact in facts(RAW_IEM_MOS, answer.content, "file:x") if isinstance(fact, (Forecast, ForecastRun))]
    )


def test_stations_and_products_are_listed():
    """The network, the products of a UTC day, and one product by its id."""
    hand = Hand(RUN + 3 * NS_PER_DAY)
    (network, listed), _ = asked(
        hand, "/geojson/network.py?network=NWSCLI", "/api/1/nws/afos/list.json?pil=CLIMIA&date=2026-01-16"
    )
    assert ["KMIA", "KNYC"] == [feature["id"] for feature in network.json()["features"]]
    name = listed.json()["data"][0]["product_id"]
    (text, extra), _ = asked(hand, f"/api/1/nwstext/{name}", "/api/1/nws/afos/list.json?pil=CLIMIA&date=2026-01-16&x=1")
    assert "CLIMATE SUMMARY" in text.text
    assert 422 == extra.status_code


def test_recorded_files_are_served_as_they_were_recorded():
    """A duplicated run comes with its duplicates, cell by cell."""
    archive = Archive([DATA / "iem-mos", DATA / "iem-cli"])
    path = ask.window("KNYC", "NBS", RUN - 100 * NS_PER_DAY, RUN - 90 * NS_PER_DAY).url("")
    (answer,), _ = asked(Hand(RUN), path, holdings=archive)
    original = (DATA / "iem-mos/nbs_knyc_20251014_07z_duplicated.csv").read_bytes()
    served = [
        (fact.event_ns, fact.revision)
        for fact in facts(RAW_IEM_MOS, answer.content, path)
        if isinstance(fact, Forecast)
    ]
    recorded = [
        (fact.event_ns, fact.revision) for fact in facts(RAW_IEM_MOS, original, "file:x") if isinstance(fact, Forecast)
    ]
    assert sorted(recorded) == sorted(served)
    assert 46 == len(served)


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("429", 429, "throttled"),
        ("503", 503, "throttled"),
        ("500", 500, "upstream_error"),
        ("error", 200, "upstream_error"),
        ("empty", 200, "absent"),
        ("truncate", 200, "truncated"),
        ("cut", 0, "upstream_error"),
    ],
)
def test_every_fault_is_seen_by_the_door_and_named_by_the_parser(kind, status, reason):
    """A storm of each kind, through the client that the producer uses."""

    async def main():
        async with simulated(Hand(RUN + NS_PER_DAY), faults=Faults(scenario=always(kind))) as (simulator, url):
            door = Door()
            try:
                return await door.get(url + MOS), simulator.counters
            finally:
                await door.aclose()

    (reply, problem), counters = asyncio.run(main())
    headers = {
        "conn": b"c",
        "received_ns": b"%d" % RUN,
        "clock": b"wall",
        "status": b"%03d" % reply.status,
        "url": MOS.encode(),
    }
    said = [
        one.fact
        for one in PARSERS[RAW_IEM_MOS](Record(RAW_IEM_MOS, 0, 0, 0, None, (), reply.body), headers, Cause("t", 0, 0))
        if isinstance(one, Told)
    ]
    assert (status, {reason}) == (reply.status, {fact.reason for fact in said if isinstance(fact, ForecastRun)})
    assert {kind: 1} == counters.faults
    assert bool(problem) == (status == 0)


def test_more_requests_in_a_second_than_the_limit_are_429():
    """The limit is in the tape's time, and the busiest second is counted."""
    answers, counters = asked(Hand(RUN), MOS, MOS, MOS, faults=Faults(limit_per_s=2))
    assert [200, 200, 429] == [answer.status_code for answer in answers]
    assert 3 == counters.most


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
def test_reports_of_the_days_of_the_clock_change_are_whole_climate_days(day):
    """Standard time, all year: each has its preliminary and its final report, and the headline's zone changes."""
    path = f"/cgi-bin/afos/retrieve.py?pil=CLINYC&limit=99&order=asc&sdate={day}&edate=2027-01-01"
    (answer,), _ = asked(Hand(RUN + 400 * NS_PER_DAY), path)
    told = [fact for fact in facts(RAW_IEM_CLI, answer.content, path) if isinstance(fact, Climate) and fact.day == day]
    assert ["preliminary", "final"] == [fact.report for fact in told]
    assert told[1].issued_ns >= ask.NS_PER_DAY + told[0].issued_ns - 16 * NS_PER_HOUR


def test_its_health_is_asked_apart_from_its_faults():
    """A source that answers nothing else is still there."""
    (answer,), counters = asked(Hand(RUN), "/health", faults=Faults(scenario=always("503")))
    assert (200, {"status": "ok"}, 0) == (answer.status_code, answer.json(), counters.requests.total())
