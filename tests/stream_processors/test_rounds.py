"""Rounds: what is confirmed before what, what overlaps, and what happens to a partition that has left."""

import asyncio
import threading
from collections import namedtuple
from types import SimpleNamespace

import pytest

from stream_processors.outputs import Output
from stream_processors.rounds import BATCHES_MAX, Rounds
from stream_processors.stages import Done, Fetched

TopicPartition = namedtuple("TopicPartition", "topic partition")  # noqa: PYI024  # Faust's own is one as well


class Told:
    """Stage, appender, store and group in one, which write down what they are asked to do."""

    def __init__(self):
        self.said = []
        self.generation_id = 1
        self.lost = set()
        self.committed_offset = 1
        self.low = 0
        self.may_flush = threading.Event()
        self.may_flush.set()
        self.flushing = threading.Event()

    def work(self, batches):
        """A row and a state for each batch."""
        self.found = [(batch, list(batch.value.contents)) for batch in batches]
        batches = [batch for batch, _ in self.found]
        self.said.append(f"work {'+'.join(str(batch.offset) for batch in batches)}")
        states = {batch.partition: [(b"k", b"%d" % batch.offset)] for batch in batches}
        return Done([Output("rows", b"key", None, b"%d" % batch.offset) for batch in batches], states)

    def forget(self, numbers=None):
        """What to drop."""
        self.said.append(f"forget {'all' if numbers is None else sorted(numbers)}")

    def append(self, *place, **_):
        """A row of the appender, or a state of the store."""
        self.said.append(f"row {place[1].decode()}" if place[0] == "rows" else f"state {place[0]}")

    def flush(self, _timeout_s):
        """Wait as long as the test wants."""
        self.flushing.set()
        assert self.may_flush.wait(10)
        self.said.append("flush")

    def confirmed(self):
        """Of the store."""
        self.said.append("confirmed")

    def check(self):
        """Of the group."""
        self.said.append("check")

    async def settled(self):
        """No rebalance."""
        await asyncio.sleep(0)

    def generation(self):
        """The one the test says."""
        return self.generation_id

    def owned(self, event):
        """All but what is lost."""
        return event.message.partition not in self.lost

    def committed(self, _tp):
        """Whatever comes first joins on."""
        return self.committed_offset

    async def read_from(self, tp, offset):
        """The log still has it, unless the test says otherwise."""
        self.said.append(f"read {tp.partition} from {offset}")
        return max(offset, self.low)

    def event(self, offset, partition=0, generation_id=1, first=None):
        """As the group delivers it: one record, or those from `first` on."""
        tp = TopicPartition("t", partition)
        value = Fetched([offset if first is None else first], [b"%d" % offset], 0)
        message = SimpleNamespace(tp=tp, offset=offset, partition=partition, generation_id=generation_id, value=value)
        return SimpleNamespace(message=message, ack=lambda: self.said.append(f"ack {offset}"))


def play(told, script, *on_told):
    """Run `script(rounds)` beside the rounds; returns what was said."""

    async def main():
        rounds = Rounds(told, told, told, told, *on_told)
        worker = asyncio.create_task(rounds.run())
        scripted = asyncio.create_task(script(rounds))
        await asyncio.wait({worker, scripted}, return_when=asyncio.FIRST_COMPLETED)
        if worker.done():
            worker.result()
        await scripted
        worker.cancel()
        return told.said

    return asyncio.run(main())


async def until(told, word):
    """Wait until `word` was said."""
    for _ in range(1_000):
        if word in told.said:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"{word!r} was never said: {told.said}")


def test_rows_are_confirmed_before_states_and_states_before_the_ack():
    """Two batches at hand share one round and its two confirmations."""
    told = Told()

    async def script(rounds):
        await rounds.put(told.event(1))
        await rounds.put(told.event(2, partition=1, first=1))
        await until(told, "ack 2")

    assert [
        "forget all", "work 1+2", "check", "row 1", "row 2", "flush", "state 0", "state 1", "flush", "confirmed",
        "ack 1", "ack 2",
    ] == play(told, script)  # fmt: skip


def test_a_batch_is_whole_while_it_is_worked_on_and_let_go_before_the_log_confirms():
    """What a round of large batches holds would otherwise wait for two flushes."""
    told = Told()
    told.may_flush.clear()
    events = [told.event(1), told.event(2, partition=1, first=1)]

    async def script(rounds):
        for event in events:
            await rounds.put(event)
        await asyncio.to_thread(told.flushing.wait, 10)
        told.said.append(f"left {[event.message.value.contents for event in events]}")
        told.may_flush.set()
        await until(told, "ack 2")

    said = play(told, script)
    assert [[b"1"], [b"2"]] == [contents for _, contents in told.found]
    assert said.index("left [[], []]") < said.index("flush")


def test_rows_are_shown_when_the_log_has_them():
    """Figures of what a worker told speak of confirmed rows, and not of a round that may be repeated."""
    told = Told()

    def show(outputs):
        told.said.append(f"shown {len(outputs)}")

    async def script(rounds):
        await rounds.put(told.event(1))
        await until(told, "ack 1")

    assert ["row 1", "flush", "shown 1", "state 0"] == play(told, script, show)[3:7]


def test_the_next_round_is_worked_on_meanwhile_and_appends_nothing_before_its_turn():
    """While the first waits for the log, the second is folded; its rows follow the first one's ack."""
    told = Told()

    async def script(rounds):
        told.may_flush.clear()
        await rounds.put(told.event(1))
        await asyncio.to_thread(told.flushing.wait, 10)
        await rounds.put(told.event(2))
        await until(told, "row 1")
        await asyncio.sleep(0.05)
        assert "row 2" not in told.said
        told.may_flush.set()
        await until(told, "ack 2")

    said = play(told, script)
    assert said.index("ack 1") < said.index("row 2")


def test_a_partition_that_left_is_forgotten_neither_stored_nor_acked():
    """Its new owner reads the batch again; the other partition of the round goes on."""
    told = Told()
    told.lost = {1}

    async def script(rounds):
        await rounds.put(told.event(1))
        await rounds.put(told.event(2, partition=1, first=1))
        await until(told, "ack 1")

    said = play(told, script)
    assert "forget [1]" in said
    assert not {"state 1", "ack 2"} & set(said)


def test_what_was_fetched_before_a_rebalance_is_not_worked_on_after_it():
    """And what is kept of the states is loaded anew: another worker may have stored them since."""
    told = Told()

    async def script(rounds):
        await rounds.put(told.event(1))
        await until(told, "ack 1")
        told.generation_id = 2
        await rounds.put(told.event(2, generation_id=1))
        await rounds.put(told.event(3, generation_id=2, first=1))
        await until(told, "ack 3")

    said = play(told, script)
    assert ["forget all", "forget all"] == [word for word in said if word.startswith("forget")]
    assert ["work 1", "work 3"] == [word for word in said if word.startswith("work")]


def test_an_error_of_the_log_comes_out_of_the_run():
    """Whoever runs the rounds ends the process; nothing is acked."""
    told = Told()

    def flush(_timeout_s):
        raise OSError("the log is gone")

    told.flush = flush

    async def script(rounds):
        await rounds.put(told.event(1))
        await asyncio.sleep(5)

    with pytest.raises(OSError, match="the log is gone"):
        play(told, script)
    assert "ack 1" not in told.said


def test_no_more_wait_than_a_round_takes():
    """`put` holds whoever fetches, so memory is bounded while the log is slow."""
    told = Told()

    async def script(rounds):
        told.may_flush.clear()
        await rounds.put(told.event(0))
        await asyncio.to_thread(told.flushing.wait, 10)

        async def feed():
            for offset in range(1, 3 * BATCHES_MAX):
                await rounds.put(told.event(offset))

        feeder = asyncio.create_task(feed())
        await asyncio.sleep(0.1)
        assert not feeder.done()
        told.may_flush.set()
        await until(told, f"ack {3 * BATCHES_MAX - 1}")
        await feeder

    said = play(told, script)
    assert [f"ack {offset}" for offset in range(3 * BATCHES_MAX)] == [word for word in said if word.startswith("ack")]


def test_a_batch_that_was_lost_sight_of_is_read_again_before_any_later_one_is_acked():
    """Faust delivers 1, loses 2, delivers 3: the partition is read again from 2, once; nothing is acked past the tear."""
    told = Told()

    async def script(rounds):
        for offset in (1, 3, 4):
            await rounds.put(told.event(offset))
        await until(told, "ack 1")
        for offset in (2, 3, 4):
            await rounds.put(told.event(offset))
        await until(told, "ack 4")

    said = play(told, script)
    assert ["read 0 from 2"] == [word for word in said if word.startswith("read")]
    assert ["ack 1", "ack 2", "ack 3", "ack 4"] == [word for word in said if word.startswith("ack")]


def test_the_first_batch_must_join_on_to_what_is_committed():
    """What lies between the committed offset and the first batch is asked for, not passed over."""
    told = Told()

    async def script(rounds):
        await rounds.put(told.event(7))
        await rounds.put(told.event(7, first=1))
        await until(told, "ack 7")

    assert ["read 0 from 1", "ack 7"] == [word for word in play(told, script) if word[:3] in {"rea", "ack"}]


def test_what_retention_has_removed_is_not_waited_for():
    """The log begins later than expected: the batch at its beginning is taken."""
    told = Told()
    told.low = 7

    async def script(rounds):
        await rounds.put(told.event(7))
        await until(told, "ack 7")

    assert "work 7" in play(told, script)


def test_what_leans_on_a_round_that_was_left_is_left_too():
    """Worked on while the partition was ours no longer, then ours again: neither stored nor acked, but read again."""
    told = Told()

    async def script(rounds):
        told.may_flush.clear()
        await rounds.put(told.event(1))
        await asyncio.to_thread(told.flushing.wait, 10)
        await rounds.put(told.event(2))
        await until(told, "row 1")
        told.lost = {0}
        told.may_flush.set()
        await until(told, "forget [0]")
        told.lost = set()
        await until(told, "row 2")
        await asyncio.sleep(0.05)
        await rounds.put(told.event(2, first=1))
        await until(told, "ack 2")

    said = play(told, script)
    assert ["work 1", "work 2", "work 2"] == [word for word in said if word.startswith("work")]
    assert 1 == said.count("state 0") == said.count("ack 2")
    assert "ack 1" not in said
