"""Predictions as a user runs them: features of a recorded day, a predictor over HTTP, the log, the agents and the store."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from predictor import predicting
from stack import ask, run_up

from tapefold import demo, wiring
from tapefold.portal.health import Moves, look
from tapefold.settings import Settings
from tapefold.supervisor import EXIT_REFUSED

SERIES = "KXHIGHMIA"
S = 10**9
ASOF_S = 1_743_789_600  # 2025-04-04 18:00Z: what came later is in the tables, too, and must not be told


def command(*arguments, **environment):
    """`tapefold ...`."""
    return subprocess.run(
        [sys.executable, "-m", "tapefold", *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("missing", "environment"),
    [
        ("PREDICTION_ENABLE", {"RAG_URL": "http://127.0.0.1:1/", "KALSHI_SERIES": SERIES}),
        ("PREDICTION_ENABLE", {"PREDICTION_ENABLE": "0", "RAG_URL": "http://127.0.0.1:1/", "KALSHI_SERIES": SERIES}),
        ("RAG_URL", {"PREDICTION_ENABLE": "1", "KALSHI_SERIES": SERIES}),
        ("KALSHI_SERIES", {"PREDICTION_ENABLE": "1", "RAG_URL": "http://127.0.0.1:1/"}),
    ],
)
def test_nobody_is_asked_unless_it_is_wanted(tmp_path, missing, environment):
    """The variable that is missing is named, and starting again does not help."""
    done = command("run", "rag", "--state-dir", tmp_path, **environment)
    assert (EXIT_REFUSED, True) == (done.returncode, f"{missing}: expected" in done.stderr), done.stderr


@pytest.mark.timeout(400)
def test_predictions_of_a_recorded_day_are_in_the_tables(tmp_path):
    """Runs and predictions, each once, with features that were known at the as-of time and none that came later."""
    run_up(demo.FRAMES, tmp_path)
    wanted = ask(
        tmp_path,
        f"SELECT market_ticker, toUnixTimestamp(max(minute)) FROM tapefold_api.bars_1m_known(t = '{stamp(ASOF_S)}')"
        f" WHERE market_ticker LIKE '{SERIES}-%' AND minute >= '{stamp(ASOF_S - 3_600)}' AND minute < '{stamp(ASOF_S)}'"
        f" AND known_at <= '{stamp(ASOF_S)}' GROUP BY market_ticker ORDER BY market_ticker",
    )
    assert len(wanted) >= 2
    with predicting() as predictor:
        environment = {
            "PREDICTION_ENABLE": "1", "RAG_URL": predictor.url, "RAG_SECONDS": "0.5", "KALSHI_SERIES": SERIES,
            "RAG_TAPE": f"{ASOF_S * S}:{wiring.now_ns()}:0.000001",
        }  # fmt: skip
        up = subprocess.Popen(
            [sys.executable, "-m", "tapefold", "up", "--frames", str(demo.FRAMES), "--speed", "1",
             "--state-dir", str(tmp_path)],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            told = waited_for(tmp_path)
            cards = look(Settings(prediction_enable=True), tmp_path, Moves(), (ASOF_S + 299) * S)
            late = look(Settings(prediction_enable=True), tmp_path, Moves(), (ASOF_S + 302) * S)
        finally:
            up.terminate()
            up.wait(60)
    question = predictor.questions[0]
    assert (question["series_ticker"], question["features"]) == (SERIES, "features_weather/2")
    assert question["run_as_of_ts"].startswith(stamp(ASOF_S).replace(" ", "T"))
    asked = [
        (row["market_ticker"], int(datetime.fromisoformat(row["minute"]).timestamp())) for row in question["markets"]
    ]
    assert wanted == asked
    assert all(datetime.fromisoformat(row["known_at"]).timestamp() <= ASOF_S + 1 for row in question["markets"])
    runs, predictions = told
    assert len(runs) == len({run_id for run_id, *_ in runs})
    assert {(len(wanted), len(wanted), "m1", "assumed")} == {tuple(rest) for _, *rest in runs}
    assert {(run_id, market, 0.25) for run_id, *_ in runs for market, _ in wanted} >= set(predictions)
    assert len(predictions) == len(set(predictions)) == len(runs) * len(wanted)
    assert ["GREEN"] == [card.status for card in cards if card.name == "rag"]
    assert ["RED"] == [card.status for card in late if card.name == "rag"]
    lines = [json.loads(line) for line in (tmp_path / "logs" / "rag.log").read_text().splitlines() if "metric" in line]
    runs_said = [line for line in lines if line["metric"] == "rag.predictions"]
    assert [(n, n) for n in range(1, len(runs_said) + 1)] == [(line["total"], line["runs"]) for line in runs_said]


def stamp(time_s):
    """A time as the store reads it."""
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S}"


def waited_for(state_dir):
    """Runs and predictions of the first two runs, once they are there."""
    for _ in range(120):
        if (state_dir / "store").is_dir() and (state_dir / "logs" / "rag.log").exists():
            runs = ask(
                state_dir,
                "SELECT run_id, length(asked), predicted, model_version, known_by FROM tapefold_api.prediction_runs"
                " ORDER BY run_as_of_ts LIMIT 2",
            )
            told = ask(
                state_dir,
                "SELECT run_id, market_ticker, probability_yes FROM tapefold_api.market_predictions WHERE run_id IN"
                " (SELECT run_id FROM tapefold_api.prediction_runs ORDER BY run_as_of_ts LIMIT 2)",
            )
            if len(runs) == 2 and len(told) == sum(predicted for _, _, predicted, *_ in runs):
                return runs, told
        time.sleep(1)
    raise AssertionError((state_dir / "logs" / "rag.log").read_text()[-3_000:])
