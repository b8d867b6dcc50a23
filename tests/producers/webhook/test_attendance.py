"""That we listened, to whom, and until when: beats and coverage of the receiver, on a log in memory."""

import pytest

from producers.webhook.attendance import BEAT_NS, LEASE_NS, UNTOLD_MAX, Attendance
from topics.catalog import H_KIND, RAW_WEBHOOK
from topics.codec import decode_beat_notice, decode_coverage_notice
from topics.errors import Unavailable, Undelivered
from topics.log import MemoryLog, all_records
from topics.storer import MemoryStorer

NS = 1_000_000_000


class Rig:
    """An attendance, a log of two partitions, and a clock that is moved by hand."""

    def __init__(self):
        self.log = MemoryLog()
        self.log.create({RAW_WEBHOOK: {}}, 2)
        self.storer = MemoryStorer(self.log)
        self.away = None  # how the log refuses: `full` at once, `lost` afterwards
        self.now_ns = 1_000 * NS
        self.settled_ns = None
        self.events = []
        self.attendance = Attendance(
            self._store,
            conn="c",
            settled_ns=lambda: self.now_ns if self.settled_ns is None else self.settled_ns,
            now_ns=lambda: self.now_ns,
            on_event=lambda event, **fields: self.events.append((event, fields)),
        )
        self.attendance.begin(2)

    def _store(self, entry, on_stored):
        if self.away == "full":
            raise Unavailable("the broker", "full")
        if self.away == "lost":
            on_stored(Undelivered(1, "timed out"))
        else:
            self.storer.store(entry, on_stored)
            self.storer.poll()

    def look(self, *senders, accepting=True, after_ns=NS, turned_away_ns=None):
        """A second later."""
        self.now_ns += after_ns
        self.attendance.look(senders, accepting=accepting, turned_away_ns=turned_away_ns)

    def records(self, kind):
        """What was told."""
        return [record for record in all_records(self.log, [RAW_WEBHOOK]) if (H_KIND, kind) in record.headers]

    def coverage(self):
        """(sender, start, end, by whom), seconds after the beginning, in the order of the starts and ends."""
        told = [decode_coverage_notice(record.value) for record in self.records(b"coverage")]
        assert {("webhook", "webhook", "c", 0)} >= {(n.source, n.channel, n.conn, n.sid) for n in told}
        second = lambda ns: None if ns is None else ns // NS - 1_000  # noqa: E731
        return sorted((n.market_ticker, second(n.started_ns), second(n.ended_ns) or 0, n.ended_by) for n in told)

    def beats(self):
        """(partition, clock, bye) of each."""
        told = [(record.partition, decode_beat_notice(record.value)) for record in self.records(b"beat")]
        assert {("webhook", "c", LEASE_NS)} >= {(b.source, b.conn, b.lease_ns) for _, b in told}
        return [(partition, beat.clock_ns, beat.bye) for partition, beat in told]


def test_each_sender_is_covered_from_the_first_look_to_the_end():
    """One interval a sender, and a good-bye on every partition."""
    rig = Rig()
    rig.look("pay", "two")
    rig.look("pay", "two")
    rig.now_ns += NS
    rig.attendance.leave(accepting=True)
    assert [("pay", 1, 0, None), ("pay", 1, 3, "stop"), ("two", 1, 0, None), ("two", 1, 3, "stop")] == rig.coverage()
    assert {0, 1} == {partition for partition, _, bye in rig.beats() if bye}
    assert all(clock_ns == rig.now_ns for _, clock_ns, bye in rig.beats() if bye)


def test_a_sender_that_is_taken_out_is_no_longer_listened_to():
    """And one that is put in is, from then on: the secrets' file was read again."""
    rig = Rig()
    rig.look("pay")
    rig.look("new")
    assert [("new", 2, 0, None), ("pay", 1, 0, None), ("pay", 1, 2, "stop")] == rig.coverage()


def test_beats_come_every_ten_seconds_whatever_comes():
    """Silence of senders is not silence of ours."""
    rig = Rig()
    for _ in range(25):
        rig.look("pay")
    clocks = [clock_ns for partition, clock_ns, _ in rig.beats() if partition == 0]
    assert [1_001 * NS, 1_001 * NS + BEAT_NS, 1_001 * NS + 2 * BEAT_NS] == clocks


def test_a_beat_does_not_pass_a_request_that_is_on_its_way():
    """All before its clock stands on the log; when it was said is in its stamp."""
    rig = Rig()
    rig.settled_ns = 999 * NS
    rig.look("pay")
    (beat, _) = rig.records(b"beat")
    assert (999 * NS, b"%d" % (1_001 * NS)) == (
        decode_beat_notice(beat.value).clock_ns,
        dict(beat.headers)["received_ns"],
    )


@pytest.mark.parametrize("away", ["full", "lost"])
def test_what_the_log_does_not_take_is_told_once_it_does(away):
    """The interval ends where the log was lost, the next begins when it is back; no beat claims the time between."""
    rig = Rig()
    rig.look("pay")
    rig.away = away
    rig.look("pay", accepting=False)
    rig.look("pay", accepting=False, after_ns=60 * NS)
    assert [("pay", 1, 0, None)] == rig.coverage()
    rig.look("pay", after_ns=60 * NS)
    rig.away = None
    rig.look("pay")
    assert [("pay", 1, 0, None), ("pay", 1, 2, "gap"), ("pay", 122, 0, None)] == rig.coverage()
    clocks = [clock_ns // NS - 1_000 for partition, clock_ns, _ in rig.beats() if partition == 0]
    assert [1] == clocks
    rig.look("pay", after_ns=BEAT_NS)
    assert 3 == len(rig.coverage())


def test_a_request_that_was_turned_away_parts_two_intervals():
    """However short the log was away: who was answered with 503 was not heard."""
    rig = Rig()
    rig.look("pay")
    rig.look("pay", after_ns=5 * NS, turned_away_ns=1_003 * NS)
    assert [("pay", 1, 0, None), ("pay", 1, 3, "gap"), ("pay", 6, 0, None)] == rig.coverage()


def test_a_log_that_confirms_no_beat_ends_the_interval():
    """Nobody sends, so no request shows that the broker is away: after a lease without a word from it we know."""
    rig = Rig()
    rig.look("pay")
    confirm, rig.storer.poll = rig.storer.poll, lambda: None
    rig.look("pay", after_ns=BEAT_NS)
    rig.look("pay", after_ns=LEASE_NS)
    assert [("pay", 1, 0, None)] == rig.coverage()
    rig.look("pay", after_ns=NS)
    rig.storer.poll = confirm
    confirm()
    rig.look("pay", after_ns=NS)
    assert [("pay", 1, 0, None), ("pay", 1, 42, "gap"), ("pay", 43, 0, None)] == rig.coverage()


def test_what_waits_for_the_log_is_bounded_and_its_loss_is_told():
    """A log that never takes a notice, and senders that come and go."""
    rig = Rig()
    rig.away = "full"
    for number in range(UNTOLD_MAX // 2 + 1):
        rig.attendance._tell_later(rig.attendance._covers.begin(f"s{number}", 1))
        rig.attendance._tell_later(rig.attendance._covers.end(f"s{number}", 1, 1, ended_by="stop"))
    assert 2 == len(rig.events)
    assert "beats alone prove it" in rig.events[0][0]


def test_a_receiver_that_never_found_its_log_says_nothing():
    """It listened to nobody."""
    rig = Rig()
    rig.attendance._publisher = None
    rig.look("pay", accepting=False)
    rig.attendance.leave(accepting=False)
    assert [] == list(all_records(rig.log, [RAW_WEBHOOK]))
