"""The agents as processes on a real log: batches, commits, kills, recovery, two workers."""

import contextlib
import random
import shutil
import signal
import time

import confluent_kafka
import msgspec
import pytest
from straight import straight
from workers import Worker, behind, create_topics, drain, final_bars, put_raw, trade_frames

from stream_processors.names import STATE_LAYOUT, changelog_topic
from topics.catalog import DEAD, FACT_TRADE, FOLD_TOPICS, RAW_KALSHI_WS

FRAMES = 30_000


@pytest.fixture
def log(own_kafka):
    """A broker of its own with all topics."""
    create_topics(own_kafka)
    return own_kafka


@pytest.fixture
def workers(log, tmp_path):
    """Starts workers, and kills by pid those that still run at the end."""
    started = []

    def start(stage, slot="0"):
        worker = Worker(log, stage, tmp_path / "state", slot)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


def expected_bars(frames):
    """(market, minute) -> trades and volume, straight from the frames."""
    result = straight([msgspec.json.decode(frame) for frame in frames])
    return {key: (bar[5], bar[4]) for key, bar in result.bars.items()}


def found_bars(log):
    """The same of what the fold published; empty minutes left out."""
    bars = final_bars(log).values()
    assert [] == [bar.row_id for bar in bars if not bar.closed]
    return {
        (bar.market_ticker, bar.minute_ns // 60_000_000_000): (bar.trades, bar.volume_e4 / 10_000)
        for bar in bars
        if bar.trades
    }


def test_killed_workers_lose_and_double_nothing(log, workers):
    """Three kill -9 of each agent while it works, the last with the fold's disk gone: the bars of an undisturbed run."""
    frames = list(trade_frames(FRAMES))
    put_raw(log, frames)
    ingest, fold = workers("ingest"), workers("fold")
    rng = random.Random(7)
    for turn in range(3):
        while not (ingest.folder().exists() and fold.folder().exists()):
            time.sleep(0.1)
        time.sleep(rng.uniform(1.0, 3.0))
        ingest.kill()
        fold.kill()
        if turn == 2:
            shutil.rmtree(fold.folder())  # the changelog alone must be enough
        ingest.start()
        fold.start()
    drain(log, "ingest", "fold")
    assert expected_bars(frames) == found_bars(log)
    fold.kill(signal.SIGTERM)
    assert 0 == fold.process.returncode


def test_a_worker_that_was_told_to_stop_goes_on_from_its_folder(log, workers):
    """SIGTERM leaves states that the next start keeps; what comes then, half of it told before, makes the bars of one run."""
    frames = list(trade_frames(6_000))
    workers("ingest")
    fold = workers("fold")
    for turn in range(3):
        put_raw(log, frames[max(turn - 1, 0) * 2_000 : (turn + 1) * 2_000], conn=f"c{turn}")
        drain(log, "ingest", "fold")
        fold.kill(signal.SIGTERM)
        assert (0, True) == (fold.process.returncode, (fold.folder() / "clean").exists())
        (fold.folder() / f"v{STATE_LAYOUT}" / f"kept-{turn}").touch()
        fold.start()
    drain(log, "fold")
    wait_until_begun(fold)
    assert 3 == len(list((fold.folder() / f"v{STATE_LAYOUT}").glob("kept-*")))
    assert expected_bars(frames) == found_bars(log)


def test_two_workers_share_the_partitions_and_one_takes_over(log, workers):
    """A second worker joins, takes partitions, and after the first is killed folds all of them."""
    frames = list(trade_frames(FRAMES))
    first, second = list(frames[: FRAMES // 2]), list(frames[FRAMES // 2 :])
    put_raw(log, first, conn="c1")
    workers("ingest")
    one = workers("fold")
    drain(log, "ingest", "fold")
    two = workers("fold", slot="1")
    time.sleep(4)
    put_raw(log, second, conn="c2")
    time.sleep(1)
    one.kill()
    drain(log, "ingest", "fold")
    assert two.process.poll() is None
    assert expected_bars(frames) == found_bars(log)


def test_a_second_worker_of_the_same_slot_refuses_to_start(workers):
    """Two workers with one instance id would eject each other for ever; the second ends with 78 and names the id."""
    workers("fold")
    time.sleep(2)
    second = workers("fold")
    assert 78 == second.process.wait(40)
    assert "worker 'fold-0' runs already" in second.output()


def test_states_of_another_layout_play_no_part(log, workers, tmp_path):
    """Group, changelog and folder of a fold that stored other states, closed in order: facts are folded anew."""
    frames = list(trade_frames(1_000))
    put_raw(log, frames)
    workers("ingest")
    drain(log, "ingest")
    ends = {place: marks.high for place, marks in log.watermarks(FOLD_TOPICS).items()}
    with contextlib.closing(
        confluent_kafka.Consumer({"bootstrap.servers": log.bootstrap, "group.id": "tapefold-fold"})
    ) as old:
        old.commit(
            offsets=[confluent_kafka.TopicPartition(*place, end) for place, end in ends.items()], asynchronous=False
        )
    folder = tmp_path / "state" / "fold" / "0"
    fold = workers("fold")
    drain(log, "fold")
    assert expected_bars(frames) == found_bars(log)
    fold.kill(signal.SIGTERM)
    (folder / "v1" / "tables").mkdir(parents=True)
    fold.start()
    wait_until_begun(fold)
    assert [f"v{STATE_LAYOUT}"] == [each.name for each in folder.glob("v*")]


def wait_until_begun(worker):
    """Its folder is as it wants it."""
    deadline = time.monotonic() + 30
    while (worker.folder() / "clean").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_states_of_another_log_play_no_part(log, workers):
    """A folder that was closed in order, beside a log that is another one: it is thrown away, and the changelog read."""
    frames = list(trade_frames(1_000))
    put_raw(log, frames)
    workers("ingest")
    fold = workers("fold")
    drain(log, "ingest", "fold")
    fold.kill(signal.SIGTERM)
    mark = fold.folder() / "clean"
    cluster, ids = log.identity([changelog_topic()])
    assert f"{cluster}/{ids[changelog_topic()]}" == mark.read_text()
    mark.write_text(f"{cluster}/another")
    (fold.folder() / f"v{STATE_LAYOUT}" / "of-another-log").touch()
    fold.start()
    wait_until_begun(fold)
    assert not (fold.folder() / f"v{STATE_LAYOUT}" / "of-another-log").exists()


def test_what_cannot_be_parsed_goes_to_dead_and_the_rest_goes_on(log, workers):
    """Bad frames are refused with their cause; none is skipped, none stops the worker."""
    good = list(trade_frames(100))
    put_raw(log, good)
    appender = log.appender()
    headers = [("kind", b"frame"), ("conn", b"c1"), ("clock", b"tape"), ("received_ns", b"1")]
    bad = [b"\xff\xfe", b"[" * 100_000, b'{"type":"trade","sid":1,"msg":{}}', b'{"type":"new","sid":1}', b"NaN"]
    for value in bad:
        appender.append(RAW_KALSHI_WS, value, key=b"K", headers=headers)
    appender.append(RAW_KALSHI_WS, good[0], key=b"K")
    appender.flush()
    workers("ingest")
    drain(log, "ingest")
    marks = log.watermarks([DEAD, FACT_TRADE])
    assert len(bad) + 1 == sum(mark.high for (topic, _), mark in marks.items() if topic == DEAD)


def test_commits_never_pass_a_batch_in_flight(log, workers):
    """While the fold is frozen in the middle of its work, what is committed was confirmed before."""
    put_raw(log, trade_frames(FRAMES))
    ingest, fold = workers("ingest"), workers("fold")
    drain(log, "ingest")
    deadline = time.monotonic() + 30
    while not 0 < behind(log, "fold") < FRAMES and time.monotonic() < deadline:
        time.sleep(0.05)
    fold.kill(signal.SIGSTOP)
    left = behind(log, "fold")
    fold.kill()
    fold.start()
    drain(log, "fold")
    ingest.kill()
    assert left >= 0
    assert FRAMES == sum(bar.trades for bar in final_bars(log).values())
