"""The receiver killed, and its broker stopped, under load: what was acknowledged is stored, each event once."""

import asyncio
import itertools
import time
from collections import Counter

import pytest
from webhook_door import SECRET, Process, create_topics, stored, told

from tapefold import wiring
from tapefold.local.kafka import LocalKafka
from tapefold.local.state import free_port
from tapefold.simulators.webhook.events import Mix, deliveries
from tapefold.simulators.webhook.sender import Plan, run
from topics.codec import decode_beat_notice, decode_coverage_notice
from topics.kafka import KafkaLog


@pytest.fixture
def broker(tmp_path):
    """A broker of the test's own, with the catalogue's topics."""
    with LocalKafka(tmp_path / "kafka") as local:
        create_topics(KafkaLog(local.address.bootstrap))
        yield local


def now_s():
    return time.time_ns() // 10**9  # noqa: TID251  # the sender's wall


def counted(log):
    """How often each event stands on the log."""
    return Counter(dict(record.headers)["webhook_id"].decode() for record in stored(log))


async def send(url, plan, seed=1, mix=Mix(duplicate=0.2)):  # noqa: B008  # immutable
    return await run(url, plan, deliveries(seed, "standard", mix), now_s=now_s, stop=asyncio.Event())


def wait_ready(process):
    for _ in range(600):
        if process.health()[0] == 200:
            return
        time.sleep(0.1)
    pytest.fail(process.log_path.read_text())


def wait_for_intervals(log, count):
    """Until so many have begun: the receiver looks once a second whether it is heard again."""
    for _ in range(600):
        begun = [one for one in told(log, b"coverage") if decode_coverage_notice(one.value).ended_ns is None]
        if len(begun) >= count:
            return
        time.sleep(0.1)
    pytest.fail(f"expected {count} intervals of coverage to begin, {len(begun)} did")


def test_a_receiver_that_is_killed_stores_each_event_once(broker, tmp_path):
    """Four kills in mid-load, the sender comes again and again: all are stored, none twice, and all are known after."""
    log = KafkaLog(broker.address.bootstrap)
    port = str(free_port(tmp_path))
    count = 3_000

    async def story():
        process = Process(broker.address.bootstrap, tmp_path, WEBHOOK_PORT=port)
        plan = Plan(scheme="standard", secret=SECRET, rate=300.0, count=count, retries=200, retry_s=0.2)
        sending = asyncio.ensure_future(send(process.url, plan))
        for _ in range(4):
            await asyncio.sleep(1.5)
            process.kill()
            process = await asyncio.to_thread(Process, broker.address.bootstrap, tmp_path, WEBHOOK_PORT=port)
        return process, await sending

    process, report = asyncio.run(story())
    assert (set(), 0) == (report.given_up, report.unexpected)
    assert 0 < sum(number for (_, status), number in report.answers.items() if status in {0, 503})
    found = counted(log)
    assert report.acknowledged == set(found)
    assert {1} == set(found.values())
    wait_ready(process)  # all may have been sent before it was started
    again = asyncio.run(send(process.url, Plan(scheme="standard", secret=SECRET, count=count)))
    assert {200} == {status for _, status in again.answers}
    assert found == counted(log)
    assert 0 == process.stop()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["before_store:1", "after_store:1", "before_store:150", "after_store:150"])
def test_a_receiver_that_dies_at_its_failpoints_stores_each_event_once(broker, tmp_path, place):
    """Stored and not told: the sender comes again and hears that it is known. In the first event, and in the middle."""
    log = KafkaLog(broker.address.bootstrap)
    port = str(free_port(tmp_path))
    named = {"WEBHOOK_PORT": port, "TAPEFOLD_FAILPOINT": f"webhook.{place}"}

    async def story():
        process = Process(broker.address.bootstrap, tmp_path, **named)
        plan = Plan(scheme="standard", secret=SECRET, rate=300.0, count=600, retries=200, retry_s=0.2)
        sending = asyncio.ensure_future(send(process.url, plan))
        assert wiring.FAILPOINT_EXIT == await asyncio.to_thread(process.died, 60)
        process = await asyncio.to_thread(Process, broker.address.bootstrap, tmp_path, WEBHOOK_PORT=port)
        return process, await sending

    process, report = asyncio.run(story())
    assert (set(), 0) == (report.given_up, report.unexpected)
    found = counted(log)
    assert report.acknowledged == set(found)
    assert {1} == set(found.values())
    assert 0 == process.stop()


def test_without_its_broker_a_receiver_says_503_and_loses_nothing(broker, tmp_path):
    """Down: no 2xx. Up again: the same process serves, and what it acknowledged is stored once."""
    log = KafkaLog(broker.address.bootstrap)
    process = Process(broker.address.bootstrap, tmp_path, WEBHOOK_CONFIRM_SECONDS="1")
    wait_ready(process)
    once = Plan(scheme="standard", secret=SECRET, count=50, retries=0)
    before = asyncio.run(send(process.url, once, seed=1))
    assert {("honest", 200): 50} == dict(before.answers)
    broker.stop()
    down = asyncio.run(send(process.url, once, seed=2, mix=Mix(wrong=0.2)))
    assert {503, 400} == {status for _, status in down.answers}
    broker.start()
    patient = Plan(scheme="standard", secret=SECRET, count=50, retries=200, retry_s=0.5)
    after = asyncio.run(send(process.url, patient, seed=2, mix=Mix()))
    assert set() == after.given_up
    found = counted(log)
    assert before.acknowledged | after.acknowledged <= set(found)
    assert {1} == set(found.values())
    wait_for_intervals(log, 2)
    assert 0 == process.stop()
    coverage = [decode_coverage_notice(record.value) for record in told(log, b"coverage")]
    lost, *_, left = ended = sorted((one for one in coverage if one.ended_ns), key=lambda one: one.started_ns)
    assert {one.started_ns for one in ended} == {one.started_ns for one in coverage if one.ended_ns is None}
    assert [*["gap"] * (len(ended) - 1), "stop"] == [one.ended_by for one in ended]
    assert all(one.ended_ns < after.started_ns for one, after in itertools.pairwise(ended))
    stamps = sorted(int(dict(record.headers)["received_ns"]) for record in stored(log))
    assert all(lost.started_ns <= ns < lost.ended_ns for ns in stamps[:50])
    assert stamps[-1] < left.ended_ns  # the second interval begins within a second of the log's return
    assert {0, 1, 2, 3} == {r.partition for r in told(log, b"beat") if decode_beat_notice(r.value).bye}
    said = process.log_path.read_text()
    assert SECRET not in said
    assert "payment.updated" not in said


def test_a_receiver_without_any_broker_listens_and_says_503(tmp_path):
    """It neither hangs nor takes what it could not keep."""
    process = Process(f"127.0.0.1:{free_port(tmp_path)}", tmp_path)
    report = asyncio.run(send(process.url, Plan(scheme="standard", secret=SECRET, count=5, retries=0)))
    assert {("honest", 503): 5} == dict(report.answers)
    assert 503 == process.health()[0]
    process.kill()
