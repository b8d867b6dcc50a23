"""Recorders that end by themselves die at every place that they name: what they tell in the end is what was there."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from stack import simulated
from webhook_door import create_topics

from stream_processors.ingest import ingest
from tapefold.local.kafka import LocalKafka
from tapefold.wiring import FAILPOINT_EXIT
from topics.catalog import RAW_IEM_CLI, RAW_IEM_MOS, RAW_KALSHI_REST, RAW_TWS
from topics.kafka import KafkaLog
from topics.log import all_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

DAY = Path(__file__).parents[1] / "data" / "kalshi-rest" / "cpratim"
TOPICS = {"rest": (RAW_KALSHI_REST,), "iem": (RAW_IEM_MOS, RAW_IEM_CLI), "tws": (RAW_TWS,)}
SIMULATORS = {
    "rest": ("kalshi", "--archive", str(DAY)),
    "iem": ("iem", "--make-up", "KMIA", "--at", "2026-03-07"),
    "tws": (
        "tws",
        "--make-up",
        "AAPL",
        "--date",
        "2025-01-13",
        "--days",
        "1",
        "--at",
        "2025-01-14T01:00:00Z",
    ),  # all bars are over
}
LAST_VARIABLE = {"rest": "KALSHI_PRIVATE_KEY_PATH", "iem": "IEM_TAPE", "tws": "TWS_SYMBOLS"}
COMMANDS = {
    "rest": ("run", "rest", "--from", "2000-01-01", "--until-done"),
    "iem": ("run", "iem", "--no-live", "--until-done", "--from", "2026-03-01", "--to", "2026-03-03"),
    "tws": ("run", "tws", "--date", "2025-01-13"),
}
SETTINGS = {
    "rest": {"KALSHI_SERIES": "KXHIGHNY,HIGHNY"},
    "iem": {"IEM_MODELS": "GFS", "IEM_MIN_INTERVAL_SECONDS": "0.05"},
    "tws": {},
}
OF_THE_TELLING = {"received_ns", "known_ns", "known_by", "cause", "conn"}


def recorded(part, folder, place):
    """Facts of the part's topics, and how often it died at `place` before it was let go on."""
    deaths = 0
    keys = ("--state-dir", str(folder)) if part == "rest" else ()
    with LocalKafka(folder) as kafka, simulated(*SIMULATORS[part], *keys, last=LAST_VARIABLE[part]) as variables:
        log = KafkaLog(kafka.address.bootstrap)
        create_topics(log)
        environment = {**os.environ, **variables, **SETTINGS[part], "KAFKA_BOOTSTRAP": kafka.address.bootstrap}
        command = [sys.executable, "-m", "tapefold", *COMMANDS[part], "--state-dir", str(folder)]
        for failpoint in [place, place, ""] if place else [""]:
            done = subprocess.run(
                command,
                env={**environment, "TAPEFOLD_FAILPOINT": failpoint},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode in {0, FAILPOINT_EXIT}, done.stdout + done.stderr
            deaths += done.returncode == FAILPOINT_EXIT
        assert 0 == done.returncode, done.stdout + done.stderr
        return facts(log, TOPICS[part]), deaths


def facts(log, topics):
    """All that ingest makes of the raw records, without what depends on when and by whom it was told."""
    found = set()
    for record in all_records(log, topics):
        for output in ingest(record.topic, record.partition, 4, [record]):
            assert output.topic.startswith("fact."), output
            told = msgspec.json.decode(output.value)
            of_the_telling = set(OF_THE_TELLING)
            if told["type"] == "tws_unit":
                of_the_telling |= {"attempts", "to_ns"}  # of whom it took, and how far its day had come
            if told.get("event_ns") == told.get("received_ns"):
                of_the_telling.add("event_ns")  # an answer that speaks of now
            if told["type"] not in {"beat", "coverage"}:  # they say when this very process listened
                found.add(msgspec.json.encode({key: told[key] for key in told.keys() - of_the_telling}, order="sorted"))
    return found


def killed_in_history(folder):
    """Facts of `run iem` that SIGKILL ended when its checkpoint had one window, and of the run after it; what that said."""
    with LocalKafka(folder) as kafka, simulated(*SIMULATORS["iem"], last=LAST_VARIABLE["iem"]) as variables:
        log = KafkaLog(kafka.address.bootstrap)
        create_topics(log)
        slow = {**SETTINGS["iem"], "IEM_MIN_INTERVAL_SECONDS": "0.5"}
        environment = {**os.environ, **variables, **slow, "KAFKA_BOOTSTRAP": kafka.address.bootstrap}
        command = [sys.executable, "-m", "tapefold", *COMMANDS["iem"], "--state-dir", str(folder)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            until_s = time.monotonic() + 60
            while not (noted := [*folder.glob("iem/history.*.json")]) and time.monotonic() < until_s:
                time.sleep(0.02)
            process.kill()
        assert (-signal.SIGKILL, 1) == (process.returncode, len(noted))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
        return facts(log, TOPICS["iem"]), done.stdout + done.stderr


def test_history_that_is_killed_goes_on_where_it_stopped(undisturbed, tmp_path):
    """Nothing is skipped, and what was noted is not asked for again."""
    found, said = killed_in_history(tmp_path)
    assert undisturbed["iem"] == found
    skipped = [int(number) for number in re.findall(r'"?skipped"?[=:] ?(\d+)', said)]
    assert set(skipped) & {1, 2, 3}, said


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Part -> the facts of a run that nothing disturbs."""
    return {part: recorded(part, tmp_path_factory.mktemp(part), "")[0] for part in COMMANDS}


@pytest.mark.parametrize("part", COMMANDS)
@pytest.mark.parametrize("place", ["append:1", "append:5", "before_flush:1", "after_flush:1"])
def test_a_recorder_that_dies_at_any_place_tells_all_in_the_end(undisturbed, tmp_path, part, place):
    """Twice, the second time with what the first has left; then it is let go on."""
    found, deaths = recorded(part, tmp_path, f"{part}.{place}")
    assert deaths > 0, f"{part}.{place} was never passed"
    assert len(undisturbed[part]) > 1
    assert set() == undisturbed[part] - found
    assert set() == found - undisturbed[part]
