"""Policies on the log: a version never changes, every partition has all of them, and the command shows what is there."""

import json

import pytest
from typer.testing import CliRunner
from weather import policy

from tapefold import migrating, policies
from tapefold.cli import app
from topics.catalog import FACT_POLICY
from topics.codec import encode
from topics.errors import Refused
from topics.log import MemoryLog
from topics.policies import SHIPPED, Policy


@pytest.fixture
def log():
    """A log with three partitions of the topic."""
    made = MemoryLog()
    made.create({FACT_POLICY: {}}, 3)
    return made


def test_every_partition_gets_every_policy_once(log):
    """The fold of each partition asks by itself; publishing again appends nothing."""
    assert [each.key for each in SHIPPED] == policies.publish(log, SHIPPED)
    assert [] == policies.publish(log, SHIPPED)
    assert {0, 1, 2} == set(policies.on_log(log))
    assert all({each.key for each in SHIPPED} == part.keys() for part in policies.on_log(log).values())
    assert {len(SHIPPED)} == {mark.high for mark in log.watermarks([FACT_POLICY]).values()}


def test_a_partition_that_lacks_a_policy_gets_it(log):
    """A publisher that was cut off between two partitions is mended by the next one."""
    appender = log.appender()
    appender.append(FACT_POLICY, encode(policy()), partition=1)
    assert ["test@1"] == policies.publish(log, [policy()])
    assert [1, 1, 1] == [mark.high for mark in log.watermarks([FACT_POLICY]).values()]


def test_a_version_never_changes(log):
    """The same id and version with other words is refused, and nothing of the call is appended."""
    policies.publish(log, [policy()])
    with pytest.raises(policies.PolicyRefused, match=r"test@1 is there with other words.*version 2"):
        policies.publish(log, [policy(policy_id="new"), policy(max_staleness_s=60)])
    assert ["test@1"] == [each.key for each in policies.known(log)]


def test_without_topics_the_next_command_is_named():
    """Whoever asks before the first migration reads what to do."""
    with pytest.raises(Refused, match="tapefold migrate"):
        policies.known(MemoryLog())


def test_a_file_without_a_version_is_the_next_one(tmp_path):
    """What `show` prints, with its version taken out, is a new version of the same policy."""
    file = tmp_path / "p.json"
    file.write_text('{"policy_id": "test", "at": "D 07:00 UTC", "models": ["GFS"], "max_staleness_s": 3600}')
    assert [1, 3] == [policies.read_file(file, there).version for there in ((), (policy(), policy(version=2)))]


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"at": "D-1 6pm"}, "D-1 18:00 station local standard"),
        ({"models": []}, "models"),
        ({"max_staleness_s": 9_999_999}, "max_staleness_s"),
        ({"knowledge": "fixed_lag"}, "expected a lag of every model, was none of GFS"),
        ({"knowledge": "modelled", "lags_s": {"GFS": 1}}, "quantile"),
        ({"knowledge": "psychic"}, "knowledge"),
        ({"lags_s": {"GFS": 1}}, "lags_s"),
        ({"models": ["GFS", "GFS"]}, "models: expected each once"),
        ({"policy_id": "Not An Id"}, "policy_id"),
        ({"patience": 3}, "expected fields of a policy, was patience"),
    ],
)
def test_a_policy_that_cannot_be_says_what_is_wrong(tmp_path, over, words):
    """The message names the field, what was expected and what was there."""
    file = tmp_path / "p.json"
    good = {"policy_id": "p", "at": "D 07:00 UTC", "models": ["GFS"], "max_staleness_s": 3600}
    file.write_text(json.dumps(good | over))
    with pytest.raises(policies.PolicyRefused, match=words):
        policies.read_file(file, ())


def test_a_policy_is_what_its_fact_says():
    """Read back from the log it is the same, with the parts of its time rule."""
    made = policy(at="D+2 06:30 UTC", knowledge="modelled", quantile=0.9, lags_s={"GFS": 60})
    assert (2, 390, False, False) == (made.day_offset, made.minute_of_day, made.standard_time, made.unsafe)
    assert isinstance(made, Policy)
    assert made.asof_ns(0, -5 * 3600) == (2 * 86_400 + 390 * 60) * 10**9


def test_the_commands_show_what_was_added(own_kafka, monkeypatch, tmp_path):
    """`policy add`, `show` and `list` on a real log."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", own_kafka.bootstrap)
    own_kafka.create({FACT_POLICY: migrating.topic_settings()[FACT_POLICY]}, 2)
    policies.publish(own_kafka, SHIPPED)
    shown = CliRunner().invoke(app, ["policy", "show", "d1-1800"])
    file = tmp_path / "p.json"
    words = json.loads(shown.stdout)
    assert (1, "stated") == (words.pop("version"), words["knowledge"])
    file.write_text(json.dumps(words | {"max_staleness_s": 43_200}))
    assert "d1-1800@2: added" in CliRunner().invoke(app, ["policy", "add", str(file)]).stdout
    assert 43_200 == json.loads(CliRunner().invoke(app, ["policy", "show", "d1-1800"]).stdout)["max_staleness_s"]
    monkeypatch.setenv("COLUMNS", "200")
    listed = CliRunner().invoke(app, ["policy", "list"]).stdout
    assert 2 == listed.count("d1-1800 ")
    assert "D-1 10:00 station local standard" in listed
