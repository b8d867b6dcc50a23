"""A predictor's answer -> its run and its predictions; what cannot be read is refused by itself."""

import contextlib
import json
import random

import pytest

from stream_processors.envelope import Envelope
from stream_processors.parsers.rag import parse
from topics.errors import BadRecord
from topics.events import Cause
from topics.rag import MarketPrediction, PredictionRun

ENVELOPE = Envelope("c", 1_775_930_405_000_000_000, "observed")
CAUSE = Cause("raw.rag", 0, 7)
MARKETS = ("KXHIGHMIA-26APR11-B84.5", "KXHIGHMIA-26APR11-T88")
HEADERS = {
    "status": b"200",
    "run_id": b"c-1-KXHIGHMIA",
    "asof_ns": b"1775930400000000000",
    "features": b"features_weather/2",
    "asked": ",".join(MARKETS).encode(),
}
ANSWER = {
    "model_version": "m1",
    "predictions": [{"market_ticker": MARKETS[0], "probability_yes": 0.62, "why": "x"}],
    "usage": {"tokens": 8},
}


def read(answer, **over):
    """All facts and refusals of an answer; bytes as they are."""
    value = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return list(parse(value, ENVELOPE, HEADERS | over, CAUSE))


def refused(answer, **over):
    """The reason for which the whole answer is refused."""
    with pytest.raises(BadRecord) as caught:
        read(answer, **over)
    return caught.value.reason


def test_a_run_and_its_predictions_are_read_exactly():
    """Who asked what and when stands in the headers, the rest in the answer; nothing else is lost."""
    run, told = read(ANSWER)
    common = {
        "event_ns": 1_775_930_400_000_000_000,
        "received_ns": ENVELOPE.received_ns,
        "known_ns": ENVELOPE.received_ns,
        "known_by": "observed",
        "conn": "c",
        "run_id": "c-1-KXHIGHMIA",
        "model_version": "m1",
        "features": "features_weather/2",
    }
    assert (run.series_ticker, run.asked, run.predicted) == ("KXHIGHMIA", MARKETS, 1)
    assert (told.market_ticker, told.probability_yes) == (MARKETS[0], 0.62)
    for fact, index, extra in ((run, 0, {"usage": {"tokens": 8}}), (told, 1, {"why": "x"})):
        assert common.items() <= {name: getattr(fact, name) for name in fact.__struct_fields__}.items()
        assert Cause("raw.rag", 0, 7, index) == fact.cause
        assert extra == json.loads(bytes(fact.extra))


def test_predictions_that_cannot_stand_are_refused_and_the_others_stand():
    """Of a market that nobody asked about, a second one of a market, no probability, none between 0 and 1."""
    told = [
        {"market_ticker": "KXHIGHNY-26APR11-T60", "probability_yes": 0.5},
        {"market_ticker": MARKETS[0], "probability_yes": 0},
        {"market_ticker": MARKETS[0], "probability_yes": 0.7},
        {"market_ticker": MARKETS[1]},
        {"market_ticker": MARKETS[1], "probability_yes": 1.01},
        {"market_ticker": MARKETS[1], "probability_yes": "0.5"},
        7,
        {"market_ticker": MARKETS[1], "probability_yes": 1.0},
    ]
    run, *said = read(ANSWER | {"predictions": told})
    kept = [(fact.cause.index, fact.probability_yes) for fact in said if isinstance(fact, MarketPrediction)]
    assert [(2, 0.0), (8, 1.0)] == kept
    assert 2 == run.predicted
    reasons = [(cause.index, error.reason) for cause, error in (part for part in said if isinstance(part, tuple))]
    assert reasons == [
        (1, "bad_value"), (3, "conflict"), (4, "missing_field"), (5, "bad_value"), (6, "bad_value"), (7, "bad_value"),
    ]  # fmt: skip


def test_a_run_without_predictions_is_a_run():
    """An empty list is an answer; that it covers no market shows in `predicted`."""
    (run,) = read(ANSWER | {"predictions": []})
    assert isinstance(run, PredictionRun)
    assert 0 == run.predicted


@pytest.mark.parametrize(
    ("answer", "over", "reason"),
    [
        (b'{"error":"quota"}', {"status": b"429"}, "bad_status"),
        (b"<html>", {}, "not_json"),
        (b'"\xff"', {}, "not_json"),
        (b'{"model_version":"m","predictions":[],"x":' + b"[" * 5_000, {}, "not_json"),
        ({"predictions": []}, {}, "missing_field"),
        ({"model_version": "", "predictions": []}, {}, "bad_value"),
        ({"model_version": "m", "predictions": {}}, {}, "bad_value"),
        (ANSWER, {"asof_ns": b"soon"}, "missing_header"),
        (ANSWER, {"asked": b""}, "missing_header"),
        (ANSWER, {"run_id": b"\xc3"}, "missing_header"),
    ],
)
def test_an_answer_that_is_none_is_refused_as_a_whole(answer, over, reason):
    """With a reason of the closed list."""
    assert reason == refused(answer, **over)


def test_anything_gives_facts_or_refusals():
    """Mutations of a good answer: never another exception. The seed is the test's."""
    rng = random.Random(5)
    good = json.dumps(ANSWER).encode()
    for _ in range(2_000):
        value = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(value))
            value[place : place + rng.randint(0, 3)] = rng.choice((b"[", b'"', b"\xff", b"9" * 30, b"{", b"null", b""))
        with contextlib.suppress(BadRecord):
            assert isinstance(read(bytes(value))[0], PredictionRun)
