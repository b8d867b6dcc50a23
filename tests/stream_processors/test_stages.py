"""What a round makes of its batches: shared states, their order, and what is kept from round to round."""

import hashlib
from types import SimpleNamespace

import msgspec
from make import MARKET, WATERMARK_TOPICS, at, beat, delta, snapshot, trade

from stream_processors.minutes import Seen
from stream_processors.names import STATE_LAYOUT
from stream_processors.operators.bars import Market
from stream_processors.pipeline import States, _decoders
from stream_processors.stages import Fetched, Fold, progress_key
from topics.catalog import BARS_1M, FACT_BOOK, FACT_TRADE
from topics.codec import decode_bar, encode


def batch(topic, offset, *facts, partition=0):
    """A fetched batch whose first record stands at `offset`."""
    value = Fetched([offset + number for number in range(len(facts))], [encode(fact) for fact in facts], 0)
    return SimpleNamespace(topic=topic, partition=partition, value=value)


class Stored:
    """A stage and the states that it has stored."""

    def __init__(self):
        self.states = {}
        self.loads = []
        self.stage = Fold(1, self.load)

    def load(self, number, key):
        """From what is stored."""
        self.loads.append(key)
        return self.states.get((number, key.encode()))

    def round(self, *batches):
        """One round, its states stored."""
        done = self.stage.work(batches)
        for number, pairs in done.states.items():
            self.states.update({(number, key): value for key, value in pairs})
        return done


DAY = [
    batch(
        FACT_BOOK,
        0,
        snapshot(1, at(0, 1), {400_000: 10_000}, {500_000: 10_000}),
        delta(2, at(0, 5), "yes", 410_000, 20_000),
    ),
    batch(FACT_TRADE, 0, trade("a", at(0, 10)), trade("b", at(0, 50))),
    batch(FACT_TRADE, 2, trade("c", at(1, 10))),
    *(batch(topic, 9, beat(at(3))) for topic in WATERMARK_TOPICS),
]


def final_bars(outputs):
    """The last row of each bar."""
    rows = [decode_bar(output.value) for output in outputs if output.topic == BARS_1M]
    return {row.row_id: row for row in sorted(rows, key=lambda row: row.rev)}


def test_states_that_are_kept_give_what_states_that_are_loaded_anew_give():
    """One round, a round per batch, and a round per batch that forgets all between: the same bars and states."""
    one, each, anew = Stored(), Stored(), Stored()
    outputs = {"one": one.round(*DAY).outputs, "each": [], "anew": []}
    for part in DAY:
        outputs["each"] += each.round(part).outputs
        outputs["anew"] += anew.round(part).outputs
        anew.stage.forget()
    assert final_bars(outputs["one"]) == final_bars(outputs["each"]) == final_bars(outputs["anew"]) != {}
    assert one.states == each.states == anew.states
    assert len(each.loads) < len(anew.loads)


def test_states_of_a_round_come_in_the_order_that_survives_a_cut():
    """Minutes first, then what would make a repeat skip them, progress last; each source partition has one."""
    keys = [key.decode() for key, _ in Stored().round(*DAY).states[0]]
    kinds = list(dict.fromkeys(key.partition("/")[0] for key in keys))
    assert ["minute", "market", "watermark", "books", "progress"] == kinds
    assert {progress_key(topic, 0) for topic in WATERMARK_TOPICS} == {
        key for key in keys if key.startswith("progress/")
    }


def test_progress_is_the_offset_after_the_last_record():
    """One less would fold the last record of each batch again for ever, one more would leave one out."""
    (pairs,) = Stored().round(batch(FACT_TRADE, 7, trade("a", at(0, 10)), trade("b", at(0, 20)))).states.values()
    assert b"9" == dict(pairs)[progress_key(FACT_TRADE, 0).encode()]


def test_a_round_stores_only_what_it_changed():
    """The second round touches one minute of the two that are kept."""
    stored = Stored()
    stored.round(batch(FACT_TRADE, 0, trade("a", at(0, 10)), trade("b", at(1, 10))))
    keys = [key.decode() for key, _ in stored.round(batch(FACT_TRADE, 2, trade("c", at(1, 20)))).states[0]]
    assert 1 == sum(key.startswith(f"minute/{MARKET}/") for key in keys)


def test_a_forgotten_partition_is_loaded_as_others_have_stored_it():
    """What another worker stored meanwhile counts, not what was kept."""
    mine, theirs = Stored(), Stored()
    mine.round(batch(FACT_TRADE, 0, trade("a", at(0, 10))))
    theirs.round(batch(FACT_TRADE, 0, trade("a", at(0, 10)), trade("b", at(0, 20))))
    mine.states = theirs.states
    mine.stage.forget([0])
    (bar,) = final_bars(mine.round(batch(FACT_TRADE, 2, trade("c", at(0, 30)))).outputs).values()
    assert 3 == bar.trades


def test_states_past_the_bound_are_let_go_and_loaded_again():
    """Memory is bounded by encoded bytes; what was used longest ago goes first, and nothing is lost."""
    stored, loads = {}, []

    def load(key):
        loads.append(key)
        return stored.get(key)

    states = States(load, kept_bytes_max=40)
    for number in range(6):
        state = states.get(f"market/{number}", Market)
        state.first = number
        stored.update(states.encoded())
    assert [0, 5] == [states.get(f"market/{number}", Market).first for number in (0, 5)]
    assert ["market/0"] == loads[6:]


def test_states_that_nobody_asks_for_are_retired_and_loaded_again():
    """Two calls with nothing between them: what was not asked for is encoded and let go, all else stays as it is."""
    stored, loads = {}, []

    def load(key):
        loads.append(key)
        return stored.get(key)

    states = States(load)
    for number in range(3):
        states.get(f"market/{number}", Market).first = number
    assert {} == states.retired()
    hot = states.get("market/1", Market)
    states.read("market/2", Market)
    stored.update(states.retired())
    assert ["market/0", "market/2"] == list(stored)
    assert hot is states.get("market/1", Market)
    assert [0, 2] == [states.get(f"market/{number}", Market).first for number in (0, 2)]
    assert ["market/0", "market/2"] == loads[3:]


def test_the_form_of_the_states_is_that_of_their_layout():
    """Another form under the same number would be read as what it is not: count STATE_LAYOUT up, then renew the digest."""
    form = str(msgspec.inspect.multi_type_info([*_decoders, list[Seen]]))
    assert (2, "d47ccc31f89c") == (STATE_LAYOUT, hashlib.sha256(form.encode()).hexdigest()[:12])
