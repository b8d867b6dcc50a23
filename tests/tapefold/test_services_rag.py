"""`tapefold run rag --once` says by its end whether anything was answered; how old a prediction may be follows how often it is asked."""

import asyncio

import pytest
from predictor import predicting

from producers.rag import recorder as asking
from producers.rag.question import features_of
from tapefold import services_rag
from tapefold.manifests import Run
from tapefold.settings import Settings
from topics.catalog import RAW_RAG
from topics.errors import Unavailable
from topics.log import MemoryLog

ROWS = [b'{"market_ticker":"KXHIGHMIA-26APR11-B84.5","feature_version":2}']


@pytest.fixture
def once(monkeypatch, tmp_path):
    """Do one round against a predictor, about two series, with features that are there."""
    monkeypatch.setattr(asking, "ATTEMPTS_MAX", 1)
    monkeypatch.setattr(services_rag, "_features", lambda *_: features_of("features_weather", ROWS))

    def play(url, **variables):
        log = MemoryLog()
        log.create({RAW_RAG: {}}, 1)
        settings = Settings(kalshi_series="KXHIGHMIA,KXHIGHNY", **variables)
        asyncio.run(services_rag._record(settings, tmp_path, url, log.appender(), 1, once=True, run=Run("rag", {})))
        return log.watermarks([RAW_RAG])[RAW_RAG, 0].high

    return play


@pytest.mark.parametrize("reply", [(500, b"broken"), (401, b"no key"), (200, b"{}")])
def test_a_round_without_any_answer_is_no_success(once, reply):
    """The last reason is said; whether asking again could help or not."""
    with predicting() as predictor:
        predictor.reply = lambda _: reply
        with pytest.raises(
            Unavailable, match=r"predictor is not available: none of 2 questions was answered: .*KXHIGHNY"
        ):
            once(predictor.url)


def test_one_answer_is_enough(once):
    """The other question is told in the log."""
    with predicting() as predictor:
        good = predictor.reply
        predictor.reply = lambda question: good(question) if question["series_ticker"] == "KXHIGHNY" else (500, b"")
        assert once(predictor.url) > 0


def test_a_round_that_had_nothing_to_ask_is_no_failure(once, monkeypatch):
    """Nobody was asked, and nobody failed."""
    monkeypatch.setattr(services_rag, "_features", lambda *_: features_of("features_weather", []))
    assert once("http://127.0.0.1:1/") > 0


@pytest.mark.parametrize(
    ("variables", "stale_s"),
    [
        ({}, 300.0),
        ({"rag_seconds": 600.0}, 1_230.0),
        ({"rag_seconds": 600.0, "web_portal_rag_stale_seconds": 700.0}, 700.0),
    ],
)
def test_how_old_a_prediction_may_be_follows_how_often_it_is_asked(variables, stale_s):
    """A round late and an answer long; who sets the limit has it."""
    assert stale_s == Settings(**variables).rag_stale_s()
