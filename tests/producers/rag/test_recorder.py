"""The loop that asks a predictor, on a log in memory, against a predictor over HTTP that does what a test says."""

import asyncio
import random
import threading
import time

import pytest
from predictor import predicting

from producers.backoff import Backoff, Breaker
from producers.publish import Publisher
from producers.rag import recorder as module
from producers.rag.door import Door
from producers.rag.question import Features, features_of, retry_after_s
from producers.rag.recorder import Recorder
from stream_processors.ingest import ingest
from topics.catalog import DEAD, H_KIND, RAW_RAG
from topics.codec import decode_beat_notice, decode_dead, decode_fact
from topics.errors import Unavailable
from topics.log import MemoryLog
from topics.rag import MarketPrediction, PredictionRun

S = 10**9
NOW_NS = 1_775_930_400 * S
ROWS = [
    b'{"market_ticker":"KXHIGHMIA-26APR11-B84.5","feature_version":2,"close":"0.48"}',
    b'{"market_ticker":"KXHIGHMIA-26APR11-T88","feature_version":2,"close":null}',
]
FOUND = features_of("features_weather", ROWS)


class Bench:
    """A recorder whose steady clock is moved by hand."""

    def __init__(self, *, threshold=5, open_s=60.0, series=("KXHIGHMIA",)):
        self.log = MemoryLog()
        self.log.create({RAW_RAG: {}}, 2)
        self.metrics, self.asked = [], []
        self.found = FOUND
        self.now_ns = NOW_NS
        self.steady_s = 0.0
        self.breaker = Breaker(threshold, open_s)
        self.series = series

    async def look(self, series_ticker, asof_ns):
        """Features as a test has them; an exception is raised."""
        self.asked.append((series_ticker, asof_ns))
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def said(self, name):
        """Fields of a metric's lines."""
        return [fields for metric, fields in self.metrics if metric == name]

    def records(self, kind=b"frame"):
        """What stands on the log, of one kind."""
        stood = [record for number in range(2) for record in self.log._topic(RAW_RAG)[number]]
        return [record for record in stood if dict(record.headers)[H_KIND] == kind]

    def facts(self):
        """What ingest reads in it, and the reasons of what it refuses."""
        outputs = ingest(RAW_RAG, 0, 1, self.records())
        refused = [decode_dead(output.value).reason for output in outputs if output.topic == DEAD]
        return [decode_fact(output.value) for output in outputs if output.topic != DEAD], refused

    async def recorder(self, url, work, *, api_key=None):
        """Do `work` with a recorder."""
        door = Door(url, now_ns=lambda: NOW_NS + 5 * S, api_key=api_key, timeout_s=5.0)
        appender = self.log.appender()
        publisher = Publisher(appender, topic=RAW_RAG, partitions=2, source="rag", conn="c", clock="wall")
        recorder = Recorder(
            door, self.breaker, publisher, appender, self.series,
            look=self.look, now_ns=lambda: self.now_ns, time_s=lambda: self.steady_s, rng=random.Random(1),
            on_metric=lambda name, **fields: self.metrics.append((name, fields)),
        )  # fmt: skip
        try:
            await work(recorder)
        finally:
            await door.aclose()
        return recorder

    def round(self, url, **options):
        """One round, as `--once`."""
        return asyncio.run(self.recorder(url, lambda r: r.run(asyncio.Event(), interval_s=60.0, once=True), **options))


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    """Full jitter of hundredths of a second."""
    monkeypatch.setattr(module, "Backoff", lambda: Backoff(base_s=0.01))


async def asked(predictor, times):
    """Until the predictor was asked so often; it counts in a thread of its own."""
    async with asyncio.timeout(10.0):
        while len(predictor.questions) < times:  # noqa: ASYNC110  # of another thread
            await asyncio.sleep(0.01)


def test_a_run_is_asked_kept_and_told():
    """The question has the as-of time and the rows as they are; answer and question meet on the log, and in the metric."""
    bench = Bench()
    with predicting() as predictor:
        bench.round(predictor.url, api_key="k")
    (question,) = predictor.questions
    run_id = f"c-{NOW_NS}-KXHIGHMIA"
    assert question == {
        "run_id": run_id,
        "run_as_of_ts": "2026-04-11T18:00:00.000000000Z",
        "series_ticker": "KXHIGHMIA",
        "features": "features_weather/2",
        "markets": [
            {"market_ticker": "KXHIGHMIA-26APR11-B84.5", "feature_version": 2, "close": "0.48"},
            {"market_ticker": "KXHIGHMIA-26APR11-T88", "feature_version": 2, "close": None},
        ],
    }
    assert ["Bearer k"] == predictor.keys
    assert [("KXHIGHMIA", NOW_NS)] == bench.asked
    (run, *told), refused = bench.facts()
    assert [] == refused
    assert (run.run_id, run.event_ns, run.known_ns, run.predicted) == (run_id, NOW_NS, NOW_NS + 5 * S, 2)
    assert [(each.market_ticker, each.probability_yes) for each in told] == [(m, 0.25) for m in FOUND.markets]
    assert [
        {
            "series": "KXHIGHMIA", "run_id": run_id, "asof_ns": NOW_NS, "markets": 2, "predictions": 2, "runs": 1,
            "failures": 0,
        }
    ] == bench.said("rag.predictions")  # fmt: skip
    beats = [decode_beat_notice(record.value) for record in bench.records(b"beat")]
    assert {NOW_NS} == {beat.clock_ns for beat in beats}
    assert 2 == sum(beat.bye for beat in beats)  # one in each partition


def test_without_features_nobody_is_asked():
    """And the line says so."""
    bench = Bench()
    bench.found = Features("features_weather/0", (), ())
    with predicting() as predictor:
        bench.round(predictor.url)
    assert [] == predictor.questions
    assert [(0, 0)] == [(line["markets"], line["runs"]) for line in bench.said("rag.predictions")]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again_with_the_same_run(status):
    """Two of those, then an answer: one run, two lines of retry that count; the breaker has forgotten them."""
    bench = Bench()
    with predicting() as predictor:
        good = predictor.reply
        predictor.reply = lambda question: good(question) if len(predictor.questions) > 2 else (status, b"busy")
        recorder = bench.round(predictor.url)
    assert 3 == len(predictor.questions)
    assert 1 == len({question["run_id"] for question in predictor.questions})
    retries = bench.said("rag.retry")
    assert [(1, 1, f"HTTP {status}: busy"), (2, 2, f"HTTP {status}: busy")] == [
        (line["attempt"], line["failures"], line["said"]) for line in retries
    ]
    assert all(0 <= line["wait_s"] <= 0.02 for line in retries)
    assert (1, 2, 0) == (recorder.runs, recorder.failures, bench.breaker.failures)
    assert 3 == len(bench.facts()[0])


def test_a_predictor_is_not_asked_before_it_said():
    """A second is waited for, however short our own pause would be."""
    bench = Bench()
    with predicting() as predictor:
        good, times = predictor.reply, []

        def busy(question):
            times.append(time.monotonic())
            return good(question) if len(times) > 1 else (429, b"busy")

        predictor.reply, predictor.headers = busy, {"Retry-After": "1"}
        recorder = bench.round(predictor.url)
    assert 1.0 <= times[1] - times[0] < 5.0
    assert [1.0] == [line["wait_s"] for line in bench.said("rag.retry")]
    assert (1, 0) == (recorder.runs, recorder.given_up)


def test_one_that_wants_to_rest_for_long_is_left_alone_by_all_questions():
    """The question is given up: its as-of time would be old. The others wait as well, and a second before is too early."""
    bench = Bench(series=("KXHIGHMIA", "KXHIGHNY"), threshold=0)
    with predicting() as predictor:
        good, predictor.reply = predictor.reply, lambda _: (503, b"away")
        predictor.headers = {"Retry-After": "600"}

        async def rounds(recorder):
            await recorder.run(asyncio.Event(), interval_s=60.0, once=True)
            assert (1, 2) == (len(predictor.questions), recorder.given_up)
            predictor.reply, predictor.headers = good, {}
            bench.steady_s = 599.0
            await recorder.run(asyncio.Event(), interval_s=60.0, once=True)
            assert 1 == len(predictor.questions)
            bench.steady_s = 600.0
            await recorder.run(asyncio.Event(), interval_s=60.0, once=True)

        recorder = asyncio.run(bench.recorder(predictor.url, rounds))
    assert (3, 2) == (len(predictor.questions), recorder.runs)
    assert ["KXHIGHMIA"] == [line["series"] for line in bench.said("rag.failed")]


@pytest.mark.parametrize(
    ("text", "date", "wait_s"),
    [
        (None, None, None),
        ("7", None, 7.0),
        (" 7 ", None, 7.0),
        ("99999999999", None, 3_600.0),
        ("Sun, 22 Nov 2026 10:00:30 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 30.0),
        ("Sun, 22 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:30 GMT", 0.0),
        ("Sun, 22 Nov 2036 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 3_600.0),
        ("Sun, 22 Nov 2026 10:00:30 GMT", None, None),
        ("Sun, 22 Nov 2026 10:00:30 -0000", "Sun, 22 Nov 2026 10:00:00 GMT", None),
        ("soon", "Sun, 22 Nov 2026 10:00:00 GMT", None),
        ("-5", None, None),
        ("²", None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_sender_s_clock(text, date, wait_s):
    """And nothing where it is neither."""
    assert wait_s == retry_after_s(text, date)


def test_too_many_failures_in_a_row_open_the_breaker():
    """RAG_FAILURE_THRESHOLD tries, no more; nobody is asked for RAG_CIRCUIT_BREAKER_SECONDS; then one may try."""
    bench = Bench(threshold=4, open_s=60.0, series=("KXHIGHMIA", "KXHIGHNY", "KXHIGHCHI"))
    with predicting() as predictor:
        good, predictor.reply = predictor.reply, lambda _: (500, b"")
        recorder = bench.round(predictor.url)
        assert 4 == len(predictor.questions)
        assert [{"state": "open", "failures": 4, "opened": 1}] == bench.said("rag.breaker")
        assert ["KXHIGHMIA", "KXHIGHNY"] == [line["series"] for line in bench.said("rag.failed")]
        assert 4 == recorder.failures
        bench.steady_s = 59.9
        bench.round(predictor.url)
        assert 4 == len(predictor.questions)
        bench.steady_s = 60.0
        bench.round(predictor.url)  # the one that may try fails, and decides
        assert 5 == len(predictor.questions)
        bench.steady_s, predictor.reply = 120.0, good
        bench.round(predictor.url)
        assert 8 == len(predictor.questions)
    assert 3 == len(bench.said("rag.predictions"))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [((401, b"no key"), "bad_status"), ((200, b"<html>"), "not_json"), ((200, b"{}"), "missing_field")],
)
def test_an_answer_that_cannot_be_used_is_kept_and_counts(reply, reason):
    """Once: asking again brings the same. It stands on the log, is refused there, and brings the breaker nearer."""
    bench = Bench(threshold=2)
    with predicting() as predictor:
        predictor.reply = lambda _: reply
        bench.round(predictor.url)
        assert 1 == len(predictor.questions)
        bench.round(predictor.url)
        recorder = bench.round(predictor.url)
    assert 2 == len(predictor.questions)
    assert (1, True) == (recorder.given_up, "nobody is asked" in recorder.last_error)
    assert ([], [reason, reason]) == bench.facts()
    assert 2 == len(bench.said("rag.refused"))
    assert 1 == len(bench.said("rag.breaker"))


def test_no_connection_and_a_store_that_is_away_end_the_question_alone():
    """The loop goes on; a store that is away is no failure of the predictor."""
    bench = Bench(threshold=0)
    bench.round("http://127.0.0.1:1/")
    (line,) = bench.said("rag.failed")
    assert "the last of 3 attempts" in line["error"]
    bench.found = Unavailable("the store", "gone")
    recorder = bench.round("http://127.0.0.1:1/")
    assert "the store is not available: gone" == bench.said("rag.failed")[1]["error"]
    assert 0 == recorder.failures


def test_no_beat_passes_a_question_whose_answer_is_not_on_the_log(monkeypatch):
    """Its clock would say that all before it stands there."""
    monkeypatch.setattr(module, "_BEAT_S", 0.01)
    bench = Bench()
    with predicting() as predictor:
        good = predictor.reply

        def slow(question):
            bench.now_ns += 3 * S
            time.sleep(0.2)
            return good(question)

        predictor.reply = slow
        bench.round(predictor.url)
    clocks = [decode_beat_notice(record.value).clock_ns for record in bench.records(b"beat")]
    assert 10 <= len(clocks)
    assert {NOW_NS, NOW_NS + 3 * S} == set(clocks)
    assert 4 >= clocks.count(NOW_NS + 3 * S)  # the good-bye in both partitions, and at most one when the answer stood


def test_an_answer_that_does_not_come_holds_up_no_stop():
    """A question of a service that ends has no answer, and leaves nothing behind."""
    bench, let_go = Bench(), threading.Event()

    async def stopped_while_asking(predictor, recorder):
        stop = asyncio.Event()
        running = asyncio.create_task(recorder.run(stop, interval_s=60.0, once=False))
        await asked(predictor, 1)
        stop.set()
        await asyncio.wait_for(running, 1.0)

    with predicting() as predictor:
        good = predictor.reply
        predictor.reply = lambda question: good(question) if let_go.wait(4.0) else (500, b"")
        try:
            asyncio.run(bench.recorder(predictor.url, lambda recorder: stopped_while_asking(predictor, recorder)))
        finally:
            let_go.set()
    assert [] == bench.records()
    assert 2 == sum(decode_beat_notice(record.value).bye for record in bench.records(b"beat"))


def test_the_loop_comes_back_and_a_stop_ends_its_pause():
    """A round every interval until then."""
    bench = Bench()

    async def stopped_after(predictor, recorder):
        stop = asyncio.Event()
        running = asyncio.create_task(recorder.run(stop, interval_s=0.02, once=False))
        await asked(predictor, 3)
        stop.set()
        await asyncio.wait_for(running, 2.0)

    with predicting() as predictor:
        asyncio.run(bench.recorder(predictor.url, lambda recorder: stopped_after(predictor, recorder)))
    facts, _ = bench.facts()
    assert 2 <= sum(isinstance(fact, PredictionRun) for fact in facts)
    assert {0.25} == {fact.probability_yes for fact in facts if isinstance(fact, MarketPrediction)}
