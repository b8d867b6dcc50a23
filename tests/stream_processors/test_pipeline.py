"""The fold as a whole: batches of facts in, final rows out; order, cuts and repeats play no part."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from make import M0, MARKET, WATERMARK_TOPICS, at, beat, delta, gap, snapshot, trade

from stream_processors.pipeline import Batch, States
from topics.catalog import BARS_1M, DEAD, FACT_BOOK, FACT_MARKET, FACT_TRADE, GAPS
from topics.codec import decode_bar, decode_dead, decode_gap_row, encode
from topics.events import Beat, Market, Trade
from topics.units import NS_PER_MINUTE


class Fold:
    """The fold of one partition with its states in a dictionary, as replay and the agent run it."""

    def __init__(self) -> None:
        self.states: dict[str, bytes] = {}
        self.outputs = []
        self.offset = 0

    def feed(self, topic, *facts):
        """Fold one batch; states are stored as bytes, like in the agent."""
        states = States(self.states.get)
        offsets = range(self.offset, self.offset + len(facts))
        values = [fact if isinstance(fact, bytes) else encode(fact) for fact in facts]
        self.offset += len(facts)
        self.outputs += Batch(states, topic, 0, 1).fold(offsets, values)
        self.states.update(states.encoded())
        return self

    def beats(self, clock_ns, **over):
        """A beat behind the facts of every topic that watermarks are taken from."""
        for topic in WATERMARK_TOPICS:
            self.feed(topic, beat(clock_ns, **over))
        return self

    def bars(self):
        """Final bars by minute after M0: the highest revision of each, all equal ones equal in bytes."""
        last = {}
        for output in self.outputs:
            if output.topic != BARS_1M:
                continue
            row = decode_bar(output.value)
            before = last.get(row.row_id)
            assert before is None or row.rev >= before.rev, "a revision fell"
            if before is not None and before.rev == row.rev:
                assert before == row, "equal revisions differ"
            last[row.row_id] = row
        return {row.minute_ns // NS_PER_MINUTE - M0: row for row in last.values()}

    def rows(self, topic, decode):
        """All rows of a topic."""
        return [decode(output.value) for output in self.outputs if output.topic == topic]


def rows_of(outputs, topic, decode):
    """The rows of one topic."""
    return [decode(output.value) for output in outputs if output.topic == topic]


def prices(bar):
    return bar.open_e6, bar.high_e6, bar.low_e6, bar.close_e6


def test_open_and_close_go_by_time_and_id_not_by_arrival():
    """Trades that arrive out of order give the bar that the exchange saw."""
    fold = Fold().feed(
        FACT_TRADE,
        trade("b", at(0, 30), 300_000),
        trade("c", at(0, 30), 400_000),
        trade("a", at(0, 10), 200_000),
        trade("d", at(0, 20), 900_000),
    )
    bar = fold.bars()[0]
    assert (200_000, 900_000, 200_000, 400_000) == prices(bar)
    assert (40_000, 4) == (bar.volume_e4, bar.trades)


def test_a_bar_closes_when_the_watermark_passes_its_end():
    """Beats of all topics and raw partitions close a bar, and it is known no earlier than its end."""
    fold = Fold().feed(FACT_TRADE, trade("a", at(0, 10)))
    assert not fold.bars()[0].closed
    fold.feed(FACT_TRADE, beat(at(1, 1)))
    assert not fold.bars()[0].closed
    fold.feed(FACT_BOOK, beat(at(1, 1)))
    assert not fold.bars()[0].closed
    fold.feed(FACT_MARKET, beat(at(1, 1)))
    assert (True, at(1)) == (fold.bars()[0].closed, fold.bars()[0].known_ns)
    assert 2 * (2**20 + 1) + 1 == fold.bars()[0].rev


def test_minutes_without_trades_have_no_prices():
    """Between the first and the last fact every minute has a row, with NULL prices and no trades where none came."""
    fold = Fold().feed(FACT_TRADE, trade("a", at(0, 10)), trade("b", at(3, 10))).beats(at(4, 1))
    bars = fold.bars()
    assert [0, 1, 2, 3] == sorted(bars)
    assert [(None, None, None, None), 0, True] == [prices(bars[1]), bars[1].trades, bars[1].closed]


def test_an_announced_close_bounds_the_empty_minutes():
    """Empty minutes run on to the announced close, and not past it."""
    known = {"received_ns": at(0), "known_ns": at(0), "known_by": "observed", "conn": "c1", "sid": 3}
    close = Market(
        market_ticker=MARKET,
        event_ns=at(0),
        cause=trade("x", at(0)).cause,
        event_type="created",
        close_ts=at(5) // 10**9,
        **known,
    )
    fold = Fold().feed(FACT_MARKET, close).feed(FACT_TRADE, trade("a", at(0, 10))).beats(at(3, 1))
    assert [0, 1, 2] == sorted(fold.bars())
    fold.beats(at(9))
    assert [0, 1, 2, 3, 4] == sorted(fold.bars())


def test_a_late_trade_revises_a_closed_bar():
    """A trade that comes after its bar closed gives a higher revision, still closed, known when the trade was."""
    fold = Fold().feed(FACT_TRADE, trade("a", at(0, 10), 500_000)).beats(at(2))
    before = fold.bars()[0]
    fold.feed(FACT_TRADE, trade("late", at(0, 50), 700_000, known_ns=at(7), received_ns=at(7)))
    bar = fold.bars()[0]
    assert (before.rev + 2 * (2**20 + 1), True, 700_000, at(7)) == (bar.rev, bar.closed, bar.close_e6, bar.known_ns)


def test_a_second_copy_of_a_trade_changes_no_bar():
    """The same trade of a second session or a second run counts once."""
    first = trade("a", at(0, 10))
    copy = msgspec.structs.replace(first, cause=trade("x", 0).cause, conn="c2")
    fold = Fold().feed(FACT_TRADE, first).beats(at(2))
    before = fold.bars()
    fold.feed(FACT_TRADE, copy)
    assert before == fold.bars()


def test_the_trade_known_first_wins_whatever_came_first():
    """With different content under one id the least (known time, offset) holds, and the other goes to dead."""
    early = trade("a", at(0, 10), 300_000, known_ns=at(0, 11))
    late = trade("a", at(0, 10), 400_000, known_ns=at(0, 12))
    for order in ([early, late], [late, early]):
        fold = Fold().feed(FACT_TRADE, *order)
        assert 300_000 == fold.bars()[0].open_e6
        (refused,) = fold.rows(DEAD, decode_dead)
        assert ("conflict", late.cause) == (refused.reason, refused.cause)


def test_quotes_at_the_minutes_end_are_carried_until_they_change():
    """A minute without book changes shows the levels that stood before it."""
    fold = Fold()
    fold.feed(FACT_TRADE, trade("a", at(0, 10)), trade("b", at(2, 10)))
    fold.feed(FACT_BOOK, snapshot(1, at(0, 1), {400_000: 1}, {500_000: 1}), delta(2, at(0, 50), "yes", 410_000, 1))
    fold.feed(FACT_BOOK, delta(3, at(2, 50), "yes", 420_000, 1)).beats(at(3, 1))
    assert [(410_000, 500_000), (410_000, 500_000), (420_000, 500_000)] == [
        (bar.yes_bid_e6, bar.yes_ask_e6) for _, bar in sorted(fold.bars().items())
    ]


def test_a_snapshot_alone_starts_no_bars():
    """A snapshot has no time of its own, so a market's minutes begin with its first timed fact."""
    fold = Fold().feed(FACT_BOOK, snapshot(1, at(0), {400_000: 1}, {})).feed(FACT_TRADE, trade("a", at(5))).beats(at(7))
    assert {5: 400_000} == {minute: bar.yes_bid_e6 for minute, bar in fold.bars().items()}


def test_an_untrusted_book_gives_no_quote():
    """At the end of a minute that ends in a gap there is no bid and no ask."""
    fold = Fold().feed(
        FACT_BOOK,
        snapshot(1, at(0, 1), {400_000: 1}, {}),
        delta(2, at(0, 2), "yes", 410_000, 1),
        gap(3, 3, at(0, 30)),
        delta(4, at(1, 5), "yes", 420_000, 1),
        snapshot(5, at(2, 1), {300_000: 1}, {}),
        delta(6, at(2, 2), "yes", 310_000, 1),
    )
    fold.beats(at(3, 1))
    assert [None, None, 310_000] == [bar.yes_bid_e6 for _, bar in sorted(fold.bars().items())]
    assert [None, at(2, 1)] == [row.repaired_ns for row in fold.rows(GAPS, decode_gap_row)]


def test_the_session_that_started_first_gives_the_quote():
    """Of two trusted sessions the earlier one speaks; when it is lost the other takes over."""
    fold = Fold().feed(
        FACT_BOOK,
        snapshot(1, at(0, 1), {400_000: 1}, {}),
        snapshot(1, at(0, 2), {300_000: 1}, {}, conn="c2"),
        delta(2, at(0, 3), "yes", 410_000, 1),
        delta(2, at(0, 3), "yes", 310_000, 1, conn="c2"),
        gap(3, None, at(1, 3), kind="disconnect"),
        delta(3, at(1, 4), "yes", 320_000, 1, conn="c2"),
    )
    fold.beats(at(1)).beats(at(1), conn="c2").beats(at(1, 30), bye=True).beats(at(2, 1), conn="c2")
    assert [410_000, 320_000] == [bar.yes_bid_e6 for _, bar in sorted(fold.bars().items())]


def test_a_session_that_died_without_a_word_stops_speaking():
    """A connection whose beats ended is not believed past them, and after its lease nobody waits for it."""
    fold = Fold().feed(
        FACT_BOOK,
        snapshot(1, at(0, 1), {400_000: 1}, {}),
        delta(2, at(0, 3), "yes", 410_000, 1),
    )
    fold.beats(at(0, 40))
    fold.feed(
        FACT_BOOK, snapshot(1, at(1, 1), {300_000: 1}, {}, conn="c2"), delta(2, at(1, 2), "yes", 310_000, 1, conn="c2")
    )
    fold.beats(at(1, 5), conn="c2")
    assert not fold.bars()[0].closed
    fold.beats(at(2, 1), conn="c2")
    assert [None, 310_000] == [bar.yes_bid_e6 for _, bar in sorted(fold.bars().items())]


def test_a_later_run_of_the_same_recording_changes_no_bar():
    """Quotes of a second session for closed minutes count only where no earlier session had one."""
    facts = [snapshot(1, at(0, 1), {400_000: 1}, {}), delta(2, at(0, 3), "yes", 410_000, 1)]
    fold = Fold().feed(FACT_BOOK, *facts).beats(at(5), bye=True)
    before = fold.bars()
    again = [msgspec.structs.replace(fact, conn="c2", cause=trade("x", 0).cause) for fact in facts]
    fold.feed(FACT_BOOK, *again).beats(at(5), conn="c2", bye=True)
    assert before == fold.bars()


def test_a_later_run_fills_what_the_first_one_missed():
    """A minute whose book was untrusted takes the quote of a session that comes later and knows it."""
    fold = Fold().feed(
        FACT_BOOK,
        snapshot(1, at(0, 1), {400_000: 1}, {}),
        delta(2, at(0, 3), "yes", 410_000, 1),
        gap(3, None, at(0, 9)),
    )
    fold.beats(at(5), bye=True)
    assert [None] == [bar.yes_bid_e6 for bar in fold.bars().values()]
    fold.feed(FACT_BOOK, snapshot(1, at(0, 1), {400_000: 1}, {}, conn="c2"))
    fold.feed(FACT_BOOK, delta(2, at(0, 3), "yes", 410_000, 1, conn="c2")).beats(at(5), conn="c2", bye=True)
    assert [410_000] == [bar.yes_bid_e6 for bar in fold.bars().values()]


def test_a_crash_told_by_a_run_with_an_earlier_tape_hides_nothing_that_was_known():
    """A gap stands behind all that its session said, even where the clock of the run that tells it is earlier."""
    fold = Fold().feed(
        FACT_BOOK,
        snapshot(1, at(0, 1), {400_000: 1}, {}),
        *[delta(2 + n, at(n, 3), "yes", 410_000 + 1_000 * n, 1) for n in range(4)],
    )
    fold.beats(at(3, 30))
    before = {minute: bar.yes_bid_e6 for minute, bar in fold.bars().items() if bar.closed}
    fold.feed(FACT_BOOK, gap(None, None, at(0), kind="crash")).beats(0, bye=True)
    fold.feed(FACT_BOOK, snapshot(1, at(0, 1), {400_000: 1}, {}, conn="c2"))
    fold.feed(FACT_BOOK, *[delta(2 + n, at(n, 3), "yes", 410_000 + 1_000 * n, 1, conn="c2") for n in range(6)])
    fold.beats(at(6, 1), conn="c2", bye=True)
    after = {minute: bar.yes_bid_e6 for minute, bar in fold.bars().items()}
    assert {0: 410_000, 1: 411_000, 2: 412_000} == before
    assert {n: 410_000 + 1_000 * n for n in range(6)} == after


def test_numbers_that_no_column_holds_go_to_dead():
    """A foreign fact with a time beyond 64 bits is refused, not met again after each restart."""
    huge = encode(trade("a", at(0))).replace(str(at(0)).encode(), b"9" * 30)
    fold = Fold().feed(FACT_TRADE, huge)
    assert ["bad_value"] == [row.reason for row in fold.rows(DEAD, decode_dead)]


def test_bytes_that_are_no_fact_go_to_dead():
    """A foreign record on a fact topic is refused with its place, and the batch goes on."""
    fold = Fold().feed(FACT_TRADE, b"{not json", trade("a", at(0)))
    (refused,) = fold.rows(DEAD, decode_dead)
    assert ("fold", "bad_value", FACT_TRADE, 0) == (
        refused.stage,
        refused.reason,
        refused.cause.topic,
        refused.cause.offset,
    )
    assert 1 == len(fold.bars())


def test_a_tombstone_among_facts_goes_to_dead():
    """A record without a value is refused with its place, and the others of its batch are folded."""
    facts = [trade("a", at(0)), trade("b", at(0, 1))]
    outputs = Batch(States({}.get), FACT_TRADE, 0, 1).fold([4, 5, 6], [encode(facts[0]), None, encode(facts[1])])
    assert [("bad_value", 5)] == [(row.reason, row.cause.offset) for row in rows_of(outputs, DEAD, decode_dead)]
    assert [2] == [bar.trades for bar in rows_of(outputs, BARS_1M, decode_bar)]


def test_trades_of_one_batch_fall_into_their_own_minutes():
    """A minute begins with its first nanosecond and ends before the next one's, also where a batch goes to and fro."""
    times = [at(1), at(1) - 1, at(2) - 1, at(2), at(1, 30), at(0), at(2, 59)]
    fold = Fold().feed(FACT_TRADE, *(trade(f"t{number}", time) for number, time in enumerate(times)))
    assert {0: 2, 1: 3, 2: 2} == {minute: bar.trades for minute, bar in fold.bars().items()}


LAST_BEAT = 10  # at 20 s each: within the lease of 30 s
BEATS = 2 * (LAST_BEAT - 3)


def test_silence_of_a_connection_only_delays_its_word():
    """A connection that is silent past its lease loses no quote: it speaks when its beat comes, however batches are cut."""
    facts = [snapshot(1, at(0, 1), {400_000: 1}, {}), delta(2, at(0, 3), "yes", 410_000, 1)]
    beats = [beat(at(0, 40)), beat(at(2, 30), conn="c2"), beat(at(2, 31))]
    finals = []
    for cut in ([beats], [beats[:1], beats[1:]], [[b] for b in beats]):
        fold = Fold().feed(FACT_BOOK, *facts)
        for part in cut:
            for topic in WATERMARK_TOPICS:
                fold.feed(topic, *part)
        finals.append(_final(fold))
    assert finals[0] == finals[1] == finals[2]
    assert 410_000 == fold.bars()[0].yes_bid_e6


def test_a_recording_behind_a_later_clock_still_gets_its_quotes():
    """After a run with a later clock in the same state, an earlier recording's bars have bids and asks."""
    fold = Fold().feed(FACT_TRADE, trade("x", at(500), market_ticker="KXOTHER-1")).beats(at(502), conn="live", bye=True)
    facts = [snapshot(1, at(0, 1), {400_000: 1}, {}), delta(2, at(0, 3), "yes", 410_000, 1)]
    fold.feed(FACT_BOOK, *facts).feed(FACT_TRADE, trade("a", at(0, 9)))
    fold.beats(at(0, 30)).beats(at(1, 30), bye=True)
    assert [(410_000, True)] == [
        (bar.yes_bid_e6, bar.closed) for bar in fold.bars().values() if bar.market_ticker == MARKET
    ]


def test_revisions_never_fall_however_often_a_connection_is_lost():
    """Sessions beyond what is kept still count: the last revision of a bar is the whole one."""
    fold = Fold()
    for n in range(100):
        conn = f"c{n}"
        fold.feed(
            FACT_BOOK,
            snapshot(1, at(0, n / 4), {400_000: 1}, {}, conn=conn),
            delta(2, at(0, n / 4), "yes", 410_000, 1, conn=conn),
            gap(3, None, at(0, n / 4), kind="disconnect", conn=conn),
        )
        fold.feed(FACT_TRADE, trade(f"t{n}", at(0, n / 4)))
    for n in range(100):
        fold.beats(at(0, 30), conn=f"c{n}", bye=True)
    fold.feed(FACT_TRADE, trade("last", at(0, 40))).beats(at(2), conn="c100", bye=True)
    assert [(101, True)] == [(bar.trades, bar.closed) for bar in fold.bars().values()]


def _history():
    """Three minutes of two sessions with trades, copies, a hole and its repair, and beats behind them."""
    books = [
        snapshot(1, at(0, 1), {400_000: 5}, {500_000: 5}),
        delta(2, at(0, 20), "yes", 410_000, 5),
        snapshot(1, at(0, 21), {400_000: 5}, {500_000: 5}, conn="c2"),
        gap(3, 4, at(0, 40)),
        delta(2, at(0, 45), "no", 520_000, 5, conn="c2"),
        delta(5, at(0, 50), "yes", 420_000, 5),
        snapshot(6, at(1, 10), {390_000: 5}, {520_000: 5}),
        delta(7, at(1, 20), "yes", 395_000, 5),
        delta(3, at(2, 20), "no", 530_000, 5, conn="c2"),
    ]
    trades = [trade(f"t{n}", at(n % 3, 7 * n % 60), 400_000 + 1000 * n) for n in range(12)]
    trades += [msgspec.structs.replace(t, cause=trade("x", 0).cause, known_ns=t.known_ns + 5) for t in trades[::3]]
    ends = [
        beat(at(0, 20 * n), conn=conn, bye=n == LAST_BEAT) for n in range(4, LAST_BEAT + 1) for conn in ("c1", "c2")
    ]
    return [(FACT_BOOK, fact) for fact in [*books, *ends]], [(FACT_TRADE, fact) for fact in [*trades, *ends]]


def _final(fold):
    return {minute: encode(bar) for minute, bar in fold.bars().items()}


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_cuts_interleavings_and_redeliveries_do_not_change_the_final_bars(data):
    """Any batch cut, any interleaving of the topics, any repeat from an earlier offset: the same final rows."""
    books, trades = _history()
    reference = Fold()
    for topic, fact in [*trades, *books]:
        reference.feed(topic, fact)
    fold = Fold()
    queues = {FACT_BOOK: books, FACT_TRADE: data.draw(st.permutations(trades[:-BEATS])) + trades[-BEATS:]}
    positions = dict.fromkeys(queues, 0)
    while any(positions[topic] < len(queue) for topic, queue in queues.items()):
        topic = data.draw(st.sampled_from([t for t in queues if positions[t] < len(queues[t])]))
        start = max(0, positions[topic] - data.draw(st.integers(0, 4)))  # a crash: told again from earlier on
        end = start + data.draw(st.integers(1, 8))
        fold.feed(topic, *[fact for _, fact in queues[topic][start:end]])
        positions[topic] = max(positions[topic], min(end, len(queues[topic])))
    assert _final(reference) == _final(fold)


def test_the_property_test_sees_beats_and_trades():
    """The history that the property test permutes holds what it is meant to hold."""
    books, trades = _history()
    assert {BEATS} == {sum(isinstance(fact, Beat) for _, fact in part) for part in (books, trades)}
    assert 16 == sum(isinstance(fact, Trade) for _, fact in trades)
