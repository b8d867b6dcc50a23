"""Books: snapshots, deltas, gaps."""

from make import MARKET, at, delta, gap, snapshot

from stream_processors.operators.books import State, step


def tops(*facts):
    state, output = step(State(), facts)
    return state, [(top.yes_bid_e6, top.yes_ask_e6) for top in output.tops], output


def test_the_best_levels_follow_the_resting_bids_of_both_sides():
    """The ask is one dollar less the best no bid; a level at zero is gone."""
    _, levels, _ = tops(
        snapshot(1, at(0), {400_000: 5, 410_000: 7}, {550_000: 3}),
        delta(2, at(0, 1), "yes", 410_000, -7),
        delta(3, at(0, 2), "no", 560_000, 4),
        delta(4, at(0, 3), "no", 560_000, -4),
        delta(5, at(0, 3), "no", 550_000, -3),
    )
    assert [(410_000, 450_000), (400_000, 450_000), (400_000, 440_000), (400_000, 450_000), (400_000, None)] == levels


def test_an_empty_book_is_no_quote():
    """A snapshot without levels gives neither bid nor ask."""
    _, levels, _ = tops(snapshot(1, at(0), {}, {}))
    assert [(None, None)] == levels


def test_deltas_without_a_snapshot_make_no_book():
    """What rested before the first frame is unknown, so no level is shown."""
    _, levels, output = tops(delta(7, at(0), "yes", 400_000, 5))
    assert [(None, None)] == levels
    assert [False] == [top.trusted for top in output.tops]


def test_a_repeated_frame_changes_nothing():
    """A frame with a sequence number that was folded before leaves no row and no trace."""
    first, again = snapshot(1, at(0), {400_000: 5}, {}), delta(2, at(0, 1), "yes", 400_000, 5)
    state, levels, _ = tops(first, again, again, first)
    assert 2 == len(levels)
    assert {400_000: 10} == state.books["c1/1"].yes


def test_a_gap_hides_the_book_until_its_next_snapshot():
    """Between a hole and the snapshot that mends it there is no quote, and the gap's row says when it was repaired."""
    state, levels, output = tops(
        snapshot(1, at(0), {400_000: 5}, {}),
        gap(2, 3, at(0, 1)),
        delta(4, at(0, 1), "yes", 410_000, 5),
        snapshot(5, at(0, 2), {390_000: 1}, {}),
    )
    assert [(400_000, None), (None, None), (390_000, None)] == levels
    assert [(1, None), (2, at(0, 2))] == [(row.rev, row.repaired_ns) for row in output.gaps]
    assert [] == state.gaps


def test_a_gap_told_again_after_its_repair_says_nothing():
    """A redelivered gap must not hide a book that was mended since."""
    hole = gap(2, 3, at(0, 1))
    state, _, _ = tops(snapshot(1, at(0), {400_000: 5}, {}), hole, snapshot(5, at(0, 2), {390_000: 1}, {}))
    state, output = step(state, [hole])
    assert [] == output.gaps
    assert state.books["c1/1"].trusted


def test_a_lost_connection_told_again_says_nothing_either():
    """A gap without an end ends its session for good; telling it again reopens nothing."""
    lost = gap(2, None, at(0, 1), kind="disconnect")
    state, _, _ = tops(snapshot(1, at(0), {400_000: 5}, {}), lost)
    state, output = step(state, [snapshot(1, at(0, 9), {400_000: 5}, {}, conn="c2"), lost])
    assert [2] == [row.rev for row in output.gaps]
    assert [] == state.gaps


def test_a_gap_is_mended_by_a_snapshot_of_another_session():
    """After a reconnect the new connection's snapshot repairs what the old one lost."""
    _, _, output = tops(
        snapshot(1, at(0), {400_000: 5}, {}),
        gap(2, None, at(0, 1), kind="disconnect"),
        snapshot(1, at(0, 9), {400_000: 5}, {}, conn="c2"),
    )
    assert [None, at(0, 9)] == [row.repaired_ns for row in output.gaps]


def test_sessions_keep_books_of_their_own():
    """Equal deltas of two sessions are two changes, one in each book."""
    state, _, _ = tops(
        snapshot(1, at(0), {400_000: 5}, {}),
        snapshot(1, at(0), {400_000: 5}, {}, conn="c2"),
        delta(2, at(0, 1), "yes", 400_000, 5),
        delta(2, at(0, 1), "yes", 400_000, 5, conn="c2"),
    )
    assert [{400_000: 10}, {400_000: 10}] == [book.yes for book in state.books.values()]


def test_a_level_below_zero_is_refused_and_the_book_untrusted():
    """A delta that takes more than rests there proves that the book is wrong."""
    state, levels, output = tops(snapshot(1, at(0), {400_000: 5}, {}), delta(2, at(0, 1), "yes", 400_000, -6))
    assert [(400_000, None), (None, None)] == levels
    assert ["expected a resting size >= 0 after the delta, was -1 e4; book untrusted"] == [d for _, d in output.dead]
    assert not state.books["c1/1"].trusted


def test_quotes_are_the_last_of_their_minute():
    """Of several changes in one minute the last by sequence stands at its end."""
    _, _, output = tops(
        snapshot(1, at(0), {400_000: 5}, {}),
        delta(2, at(0, 1), "yes", 410_000, 5),
        delta(3, at(1, 1), "yes", 420_000, 5),
    )
    assert {0: 410_000, 1: 420_000} == {quote.minute - 29_000_000: quote.yes_bid_e6 for quote in output.quotes.values()}
    assert {MARKET} == {quote.market_ticker for quote in output.quotes.values()}
