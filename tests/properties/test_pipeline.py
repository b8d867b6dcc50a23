"""The whole pipeline under chance: however a log is read, cut, repeated and partitioned, the final rows are the same."""

from unittest.mock import patch

import msgspec
import pytest
import tape
from hypothesis import given, settings
from hypothesis import strategies as st
from make import at, trade

from stream_processors import replay
from stream_processors.ingest import ingest
from stream_processors.pipeline import Batch, States, _decoders, _encode_state
from stream_processors.replay import Part
from topics.catalog import BARS_1M, FACT_BOOK, FACT_TRADE, FOLD_TOPICS, RAW_KALSHI_WS
from topics.codec import decode_bar, encode
from topics.log import Record, partition_of


class Agents:
    """Both agents on one tape, a step at a time; each can crash at its worst moment."""

    def __init__(self, made):
        self.made, self.partitions = made, made.partitions
        self.facts = {(topic, number): [] for topic in FOLD_TOPICS for number in range(self.partitions)}
        self.read = [0] * self.partitions
        self.folded = dict.fromkeys(self.facts, 0)
        self.states = {}
        self.outputs = []
        self.killed = False

    def ingest(self, number, count, back=0):
        """Read on in a raw partition, from `back` records before: after a crash facts are told again, at new offsets."""
        start = max(0, self.read[number] - back)
        records = self.made.logs[number][start : start + count + back]
        for output in ingest(RAW_KALSHI_WS, number, self.partitions, records):
            place = partition_of(output.key, self.partitions) if output.partition is None else output.partition
            if (output.topic, place) in self.facts:
                self.facts[output.topic, place].append(output.value)
            else:
                self.outputs.append(Record(output.topic, place, 0, 0, output.key, (), output.value))
        self.read[number] = max(self.read[number], start + len(records))

    def fold(self, lane, count, back=0, *, killed=False):
        """Fold on in a fact partition; killed: the rows are on the log, the states are not stored."""
        start = max(0, self.folded[lane] - back)
        values = self.facts[lane][start : start + count + back]
        if not values:
            return
        states = States(self.states.get)
        outputs = Batch(states, *lane, self.partitions).fold(range(start, start + len(values)), values)
        self.outputs += [Record(output.topic, lane[1], 0, 0, output.key, (), output.value) for output in outputs]
        self.killed |= killed
        if not killed:
            self.states.update(states.encoded())
            self.folded[lane] = max(self.folded[lane], start + len(values))

    def drain(self):
        """Read and fold all that is left."""
        for number, log in enumerate(self.made.logs):
            self.ingest(number, len(log))
        for lane, values in self.facts.items():
            self.fold(lane, len(values))
        return tape.rows(self.outputs, killed=self.killed)


def comparable(rows, *, places=True):
    """Rows to compare; without places, what a partition count may change is left out."""
    if places:
        return rows
    none = {"cause": None}
    return {
        topic: {
            row_id: {**msgspec.structs.asdict(row), **(none if hasattr(row, "cause") else {})}
            for row_id, row in by_id.items()
        }
        for topic, by_id in rows.items()
    }


@settings(max_examples=100, deadline=None)
@given(data=st.data(), seed=st.integers(0, 50))
def test_cuts_crashes_and_redelivery_do_not_change_the_final_rows(data, seed):
    """Any order in which partitions are read, any batch, any crash: books, bars and gaps end the same, none falls."""
    made = tape.tape(seed, steps=60, minutes=3)
    expected = tape.fold(made)
    agents = Agents(made)
    lanes = list(agents.facts)
    small = st.integers(1, 60)
    for _ in range(data.draw(st.integers(0, 25))):
        back = data.draw(st.sampled_from((0, 0, 5, 40)))
        if data.draw(st.booleans()):
            agents.ingest(data.draw(st.integers(0, made.partitions - 1)), data.draw(small), back)
        else:
            agents.fold(data.draw(st.sampled_from(lanes)), data.draw(small), back, killed=data.draw(st.booleans()))
    assert expected == agents.drain()
    assert [] == retold(agents.outputs)


@settings(max_examples=50, deadline=None)
@given(data=st.data(), seed=st.integers(0, 50))
def test_the_order_of_the_topics_does_not_change_what_open_bars_show(data, seed):
    """Nobody beats, so nothing closes: the rows of all minutes, quotes among them, are those of any other order."""
    made = tape.tape(seed, steps=60, minutes=3)
    for number, log in enumerate(made.logs):
        kept = [record for record in log if dict(record.headers)["kind"] != b"beat"]
        made.logs[number] = [record._replace(offset=offset) for offset, record in enumerate(kept)]
    agents = Agents(made)
    for number, log in enumerate(made.logs):
        agents.ingest(number, len(log))
    left = [lane for lane, values in agents.facts.items() if values]
    while left:
        lane = data.draw(st.sampled_from(left))
        agents.fold(lane, data.draw(st.integers(1, 80)))
        left = [each for each in left if agents.folded[each] < len(agents.facts[each])]
    rows = agents.drain()
    assert tape.fold(made) == rows
    assert not any(bar.closed for bar in rows["bars.1m"].values())


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 50), batch_records=st.integers(2, 80), retire_every=st.integers(1, 60))
def test_rows_told_late_and_states_retired_early_are_those_of_any_other_fold(data, seed, batch_records, retire_every):
    """A part that waits with its rows, and lets go what it can: the final rows are the same, of fewer tellings."""
    made = tape.tape(seed, steps=60, minutes=3)
    agents = Agents(made)
    for number, log in enumerate(made.logs):
        agents.ingest(number, len(log))
    part = Part(range(made.partitions), made.partitions, batch_records=batch_records)
    outputs = [*agents.outputs]
    with patch.object(replay, "RETIRE_EVERY", retire_every):
        while left := [lane for lane, values in agents.facts.items() if agents.folded[lane] < len(values)]:
            lane = data.draw(st.sampled_from(left))
            start = agents.folded[lane]
            values = agents.facts[lane][start : start + data.draw(st.integers(1, 30))]
            agents.folded[lane] += len(values)
            outputs += part.facts(*lane, range(start, start + len(values)), values)
        outputs += part.rest()
    assert [] == list(part.rest())
    assert tape.fold(made) == tape.rows(outputs)


def test_rows_wait_until_their_batch_is_whole_or_asked_for():
    """Full, cut short by another topic of the partition, or asked for: never before, and never twice."""
    part = Part([0, 1], 2, batch_records=3)
    tellings = [encode(trade(name, at(0))) for name in "abcdefg"]

    def told(topic, partition, *numbers):
        rows = part.facts(topic, partition, numbers, [tellings[number] for number in numbers])
        return [decode_bar(row.value).trades for row in rows if row.topic == BARS_1M]

    assert [[], [], [3]] == [told(FACT_TRADE, 0, number) for number in range(3)]
    assert [] == told(FACT_TRADE, 0, 3)
    assert [] == told(FACT_TRADE, 1, 5)
    assert [4] == told(FACT_BOOK, 0)
    assert [1] == [decode_bar(row.value).trades for row in part.rest() if row.topic == BARS_1M]
    assert [] == list(part.rest())


def retold(outputs):
    """Rows that stand under one revision with two contents: none, whoever died behind which rows."""
    told = {}
    for record in outputs:
        if record.topic == BARS_1M:
            bar = decode_bar(record.value)
            told.setdefault((bar.row_id, bar.rev), set()).add(record.value)
    return [place for place, contents in told.items() if len(contents) > 1]


@pytest.mark.parametrize("partitions", [1, 3, 5])
@pytest.mark.parametrize("seed", range(6))
def test_the_partition_count_does_not_change_the_final_rows(seed, partitions):
    """The same minutes on a log of other width: the same rows, but for the places of their causes."""
    assert comparable(tape.fold(tape.tape(seed, partitions=2)), places=False) == comparable(
        tape.fold(tape.tape(seed, partitions=partitions)), places=False
    )


@pytest.mark.parametrize("seed", range(6))
def test_every_record_twice_is_every_record_once(seed):
    """A tape whose every raw record is ingested twice over says the same."""
    made = tape.tape(seed)
    agents = Agents(made)
    for number, log in enumerate(made.logs):
        for start in range(0, len(log), 37):
            agents.ingest(number, 37, back=37)
            assert agents.read[number] >= start
    assert tape.fold(made) == agents.drain()


@pytest.mark.parametrize("seed", range(6))
def test_what_is_told_later_changes_no_closed_bar_of_before(seed):
    """A bar closes on what is known; the rest of the tape revises it only by facts that came later, and says so."""
    made = tape.tape(seed, minutes=6)
    stamps = sorted(int(dict(record.headers)["received_ns"]) for record in made.records())
    cut_ns = stamps[len(stamps) // 2]
    before, after = tape.fold(made.known_at(cut_ns))["bars.1m"], tape.fold(made)["bars.1m"]
    closed = {row_id: row for row_id, row in before.items() if row.closed and row.known_ns <= cut_ns}
    assert closed
    for row_id, row in closed.items():
        later = after[row_id]
        assert later == row or (later.rev > row.rev and later.known_ns >= row.known_ns)
        if (later.open_e6, later.close_e6, later.trades) != (row.open_e6, row.close_e6, row.trades):
            assert later.known_ns > cut_ns


@pytest.mark.parametrize("seed", range(6))
def test_states_survive_their_storage(seed):
    """Each state, decoded and encoded again, has the same bytes."""
    agents = Agents(tape.tape(seed))
    agents.drain()
    kinds = {"minute": "Minute", "market": "Market"}
    assert agents.states
    for key, value in agents.states.items():
        name = kinds.get(key.partition("/")[0])
        for kind, decode in _decoders.items():
            if (name is None and kind.__module__.endswith(key.partition("/")[0])) or kind.__name__ == name:
                assert value == _encode_state(decode(value)), key


@pytest.mark.parametrize("seed", range(3))
def test_equal_revisions_are_equal_rows_whatever_was_folded_by_then(seed):
    """Any cut of the trades with any cut of the books, as workers that die may leave them: a revision has one content."""
    made = tape.tape(seed, steps=40, minutes=1, tickers=tape.markets(1), partitions=1)
    read = Agents(made)
    read.ingest(0, len(made.logs[0]))
    trades, books = (read.facts[topic, 0] for topic in (FACT_TRADE, FACT_BOOK))
    assert min(len(trades), len(books)) > 10
    outputs = []
    for trades_cut in range(0, len(trades) + 1, 2):
        agents = Agents(made)
        agents.facts = {**read.facts, (FACT_TRADE, 0): trades[:trades_cut]}
        agents.fold((FACT_TRADE, 0), trades_cut)
        for _ in books:
            agents.fold((FACT_BOOK, 0), 1)
        outputs += agents.outputs
    assert [] == retold(outputs)
