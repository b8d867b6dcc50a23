"""The recorder: stamps, order, beats and the journal, without a socket."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from producers.beat import Clock, TapeClock, WallClock
from producers.kalshi import journal
from producers.kalshi.recorder import HELD_MAX, Recorder
from producers.kalshi.watch import Watch
from topics.catalog import RAW_KALSHI_WS
from topics.errors import BadRecord, Undelivered
from topics.log import Appender, MemoryAppender, MemoryLog, Record
from topics.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_S

A = "KXHIGHNY-26AUG10-B85.5"
T0_MS = 1_786_406_460_000  # on a minute


def subscribed(sid: int = 1, number: int = 1) -> bytes:
    return json.dumps({"type": "subscribed", "id": number, "msg": {"channel": "orderbook_delta", "sid": sid}}).encode()


def delta(seq: int, after_ms: int | None = None) -> bytes:
    msg = {"market_ticker": A} | ({} if after_ms is None else {"ts_ms": T0_MS + after_ms})
    return json.dumps({"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": msg}).encode()


class Bench:
    """One partition, so that the order of everything is plain."""

    def __init__(
        self,
        clock: Clock | None = None,
        path: Path | None = None,
        appender: Callable[[MemoryLog], Appender] | None = None,
    ) -> None:
        self.log = MemoryLog()
        self.log.create({RAW_KALSHI_WS: {}}, 1)
        self.metrics: list[tuple[str, dict[str, object]]] = []
        self.recorder = Recorder(
            appender(self.log) if appender else self.log.appender(),
            clock or TapeClock(),
            Watch([A]),
            partitions=1,
            on_metric=lambda name, **fields: self.metrics.append((name, fields)),
            channels=("orderbook_delta",),
            journal_path=path,
        )

    def open(self, conn: str = "c1") -> Self:
        """A new connection whose commands are on their way."""
        self.recorder.opened(conn, 0).commands_to_send()
        return self

    def feed(self, *frames: bytes) -> Self:
        """Frames from the exchange."""
        for frame in frames:
            self.recorder.frame(frame)
        return self

    def records(self) -> list[Record]:
        """All that was appended."""
        return self.log.reader({(RAW_KALSHI_WS, 0): 0}).read(100_000, 0)

    def story(self) -> list[tuple[str, str, int, dict[str, Any]]]:
        """(kind, conn, received_ns, decoded value) of all records in order."""
        return [
            (headers["kind"].decode(), headers["conn"].decode(), int(headers["received_ns"]), json.loads(record.value))
            for record in self.records()
            for headers in [dict(record.headers)]
        ]


def kinds(bench: Bench) -> list[tuple[str, str]]:
    return [(kind, conn) for kind, conn, _, _ in bench.story()]


def ns(after_ms: int) -> int:
    return (T0_MS + after_ms) * NS_PER_MS


def test_a_tape_stamps_what_came_before_its_first_time_with_that_time() -> None:
    """Replies and their coverage wait, in order, for the first frame that has a time."""
    bench = Bench().open().feed(subscribed(), delta(1))
    waiting = bench.records()
    bench.feed(delta(2, 700))

    assert [] == waiting
    assert ["frame", "coverage", "frame", "frame", "beat"] == [kind for kind, *_ in bench.story()]
    assert {ns(700)} == {received_ns for _, _, received_ns, _ in bench.story()}
    assert ns(700) == bench.story()[1][3]["started_ns"]


def test_a_tape_without_times_is_held_to_a_bound_and_then_stamped_zero() -> None:
    """Memory stays bounded, nothing is lost, every run gives the same."""
    bench = Bench().open().feed(*(delta(seq) for seq in range(HELD_MAX - 1)))
    waiting = len(bench.records())
    bench.feed(delta(HELD_MAX - 1), delta(HELD_MAX))

    assert (0, HELD_MAX + 1) == (waiting, len(bench.records()))
    assert {0} == {received_ns for _, _, received_ns, _ in bench.story()}


def test_a_tape_that_ends_without_times_is_published() -> None:
    """Stamped 0 at its end."""
    bench = Bench().open().feed(subscribed())
    bench.recorder.end()

    assert [("frame", 0), ("coverage", 0), ("coverage", 0), ("beat", 0)] == [(k, at) for k, _, at, _ in bench.story()]


def test_what_is_held_keeps_its_connection() -> None:
    """A connection that was lost before any time is told in its own name, before the next one."""
    bench = Bench().open("c1").feed(subscribed())
    bench.recorder.lost("disconnect")
    bench.open("c2").feed(delta(1, 700))

    told = [("frame", "c1"), ("coverage", "c1"), ("gap", "c1"), ("coverage", "c1"), ("beat", "c1")]
    assert [*told, ("frame", "c2"), ("beat", "c2")] == kinds(bench)
    assert {ns(700)} == {received_ns for _, _, received_ns, _ in bench.story()}


def test_a_tape_beats_when_it_has_moved_a_second_and_once_for_a_leap() -> None:
    """The beat stands after the frame that moved the clock."""
    bench = Bench().open().feed(delta(1, 0), delta(2, 999), delta(3, 1000), delta(4, 9000), delta(5, 9500))

    story = [kind for kind, *_ in bench.story()]
    assert ["frame", "beat", "frame", "frame", "beat", "frame", "beat", "frame"] == story
    assert [ns(0), ns(1000), ns(9000)] == [value["clock_ns"] for kind, *_, value in bench.story() if kind == "beat"]


def test_a_tape_ends_with_a_good_bye_past_its_last_minute() -> None:
    """Coverage closes at the last data, and the last bar can close."""
    bench = Bench().open().feed(subscribed(), delta(1, 30_000))
    bench.recorder.end()
    coverage, bye = (value for *_, value in bench.story()[-2:])

    assert (ns(30_000), "stop") == (coverage["ended_ns"], coverage["ended_by"])
    assert (ns(0) + NS_PER_MINUTE + 10 * NS_PER_S, True) == (bye["clock_ns"], bye["bye"])


def test_the_same_frames_give_the_same_records() -> None:
    """Byte for byte, with all headers."""
    frames = [subscribed(), *(delta(seq, seq * 700) for seq in (1, 2, 4, 5))]

    assert Bench().open().feed(*frames).records() == Bench().open().feed(*frames).records()


def test_a_lost_connection_is_told_before_the_next_one_speaks() -> None:
    """Gap, coverage, then the good-bye when it is replaced; the tape goes on and never back."""
    bench = Bench().open().feed(subscribed(), delta(1, 5000))
    bench.recorder.lost("disconnect")
    before = len(bench.records())
    bench.open("c2").feed(subscribed(), delta(1, 4000))

    assert [("gap", "c1"), ("coverage", "c1")] == kinds(bench)[before - 2 : before]
    tail = [("beat", "c1"), ("frame", "c2"), ("beat", "c2"), ("coverage", "c2"), ("frame", "c2")]
    assert sorted(tail) == sorted(kinds(bench)[before:])
    assert ("beat", "c1") == kinds(bench)[before]
    assert (True, ns(5000)) == (bench.story()[before][3]["bye"], bench.story()[before][3]["clock_ns"])
    assert {ns(5000)} == {received_ns for _, _, received_ns, _ in bench.story()[before:]}
    assert ["ws.gap"] == [name for name, _ in bench.metrics]


def test_the_wall_beats_with_the_timer() -> None:
    """At open and at each tick; frames do not."""
    walls = iter(range(100, 200))
    bench = Bench(WallClock(lambda: next(walls))).open().feed(delta(1, 0), delta(2, 5000))
    bench.recorder.tick(1)
    bench.recorder.end()
    beats = [value for kind, *_, value in bench.story() if kind == "beat"]

    assert ["beat", "frame", "frame", "beat", "beat"] == [kind for kind, *_ in bench.story()]
    assert [False, False, True] == [beat.get("bye", False) for beat in beats]
    assert sorted({beat["clock_ns"] for beat in beats}) == [beat["clock_ns"] for beat in beats]
    assert [None, ns(5000), ns(5000)] == [beat["data_ns"] for beat in beats]
    assert {"ws.frames", "ws.beat"} == {name for name, _ in bench.metrics}


def test_a_crash_is_told_by_the_successor_before_its_first_frame(tmp_path: Path) -> None:
    """Gap, end of coverage and good-bye in the dead connection's name; its beat takes no clock back."""
    path = tmp_path / "ws.json"
    Bench(path=path).open("c1").feed(subscribed(), delta(1, 9000))
    bench = Bench(path=path).open("c2").feed(delta(1, 2000))

    crash = [(kind, conn) for kind, conn in kinds(bench) if conn == "c1"]
    assert [("gap", "c1"), ("coverage", "c1"), ("beat", "c1")] == crash == kinds(bench)[:3]
    gap, coverage, bye = (value for *_, value in bench.story()[:3])
    assert ("crash", None, None, ns(2000)) == (gap["kind"], gap["from_seq"], gap["to_seq"], gap["clock_ns"])
    assert (ns(9000), ns(9000), "gap") == (coverage["started_ns"], coverage["ended_ns"], coverage["ended_by"])
    assert (0, True) == (bye["clock_ns"], bye["bye"])
    assert ("frame", "c2") == kinds(bench)[3]
    assert not bench.recorder.is_known("c3")
    assert bench.recorder.is_known("c1")
    assert bench.recorder.is_known("c2")


def test_the_journal_of_a_dead_recorder_stands_until_its_crash_is_told(tmp_path: Path) -> None:
    """A successor that dies before it knows the time must not wipe it."""
    path = tmp_path / "ws.json"
    dead = journal.Journal("c0", "tape", [journal.Covered(9, "trade", {A: 5})])
    journal.save(path, dead)
    bench = Bench(path=path).open().feed(subscribed())
    waiting = journal.load(path)
    bench.feed(delta(1, 0))
    told = journal.load(path)

    assert told is not None
    assert (dead, "c1") == (waiting, told.conn)


def test_a_clean_end_leaves_no_journal(tmp_path: Path) -> None:
    """While it runs the file names what is covered."""
    path = tmp_path / "ws.json"
    bench = Bench(path=path).open().feed(subscribed(), delta(1, 9000))
    running = journal.load(path)
    bench.recorder.end()

    assert journal.Journal("c1", "tape", [journal.Covered(1, "orderbook_delta", {A: ns(9000)})]) == running
    assert not path.exists()


def test_a_run_that_heard_nothing_leaves_the_journal_to_the_next(tmp_path: Path) -> None:
    """It has no clock yet by which to tell of the crash."""
    path = tmp_path / "ws.json"
    journal.save(path, journal.Journal("c0", "tape", []))
    bench = Bench(path=path).open()
    bench.recorder.refused()

    assert ([], True) == (bench.records(), path.exists())


class Unconfirmed(MemoryAppender):
    """A log that confirms nothing."""

    def flush(self, timeout_s: float = 30.0) -> None:
        """Fail."""
        raise Undelivered(1, f"no confirmation within {timeout_s} s")


def test_an_end_that_the_log_did_not_confirm_keeps_the_journal(tmp_path: Path) -> None:
    """The next run must tell of it."""
    path = tmp_path / "ws.json"
    bench = Bench(path=path, appender=Unconfirmed).open().feed(subscribed(), delta(1, 9000))

    with pytest.raises(Undelivered):
        bench.recorder.end()
    assert path.exists()


class Narrow(MemoryAppender):
    """A log that takes short records only."""

    def append(self, topic: str, value: bytes, **options: Any) -> None:
        """Append, or refuse."""
        if len(value) > 1000:
            raise BadRecord("too_large", "expected less")
        super().append(topic, value, **options)


def test_a_frame_that_the_log_does_not_take_is_a_gap_in_its_place() -> None:
    """Nothing is dropped in silence."""
    bench = Bench(appender=Narrow).open().feed(subscribed(), delta(1, 0), delta(2, 10) + b" " * 1000, delta(3, 20))
    gaps = [value for kind, *_, value in bench.story() if kind == "gap"]

    assert [("seq_hole", 2, 2)] == [(gap["kind"], gap["from_seq"], gap["to_seq"]) for gap in gaps]


def test_markets_can_join_while_nothing_is_connected() -> None:
    """The next connection subscribes to them."""
    bench = Bench()
    bench.recorder.add(["KXHIGHNY-26AUG10-B87.5"])
    (command,) = bench.recorder.opened("c1", 0).commands_to_send()

    assert [A, "KXHIGHNY-26AUG10-B87.5"] == json.loads(command)["params"]["market_tickers"]
