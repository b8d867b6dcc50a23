"""What is still to be asked for each market, and where."""

import json

import msgspec
import pytest

from producers.kalshi.rest import plan
from producers.kalshi.rest.pages import Listing, NotAListing
from producers.kalshi.rest.plan import Checkpoint, Cutoff, Known

DAY = 86_400


def raw(ticker, status="active", open_time="2026-09-14T14:00:00Z", close_time="2026-09-16T05:00:00Z"):
    market = {"ticker": ticker, "status": status, "open_time": open_time, "close_time": close_time}
    return msgspec.Raw(json.dumps(market).encode())


def test_a_listing_notes_new_markets_and_what_changed():
    """A market that is known keeps what was fetched of it."""
    checkpoint = Checkpoint()
    assert ["A", "B"] == plan.seen(checkpoint, "S", [raw("A"), raw("B")])
    checkpoint.markets["A"].trades_to_s = 7
    assert [] == plan.seen(checkpoint, "S", [raw("A", "finalized")])
    assert ("finalized", 7, True, False) == (
        (known := checkpoint.markets["A"]).status, known.trades_to_s, known.final, known.done,
    )  # fmt: skip


def test_a_market_is_done_when_it_is_final_and_fetched_after_that():
    """Trades and candles of before may lack the last ones."""
    known = Known("S", 0, 10, "finalized")
    assert not known.done
    known.trades_final = known.candles = True
    assert known.done
    checkpoint = Checkpoint({"A": known, "B": Known("S", 0, 10, "closed"), "C": Known("S", 99, 199, "initialized")})
    assert (["B"], ["B"]) == (plan.due(checkpoint, 20), plan.overdue(checkpoint, 20))
    known.trades_to_s = 20
    assert (0, 1, {"B", "C"}) == (plan.forget(checkpoint, 20), plan.forget(checkpoint, 21), set(checkpoint.markets))


def test_the_least_complete_market_comes_first():
    """A round that is cut off leaves nobody behind for ever."""
    markets = {name: Known("S", 0, 99, "active", at) for name, at in (("A", 50), ("B", None), ("C", 20))}
    assert ["B", "C", "A"] == plan.due(Checkpoint(markets), 60)


def test_trades_are_asked_with_an_overlap_and_from_where_they_live():
    """From the opening, then from the last time less a minute; behind the cutoff at the historical endpoint."""
    known = Known("S", 1_000, 5_000, "active")
    assert (
        "/markets/trades?ticker=A&limit=1000&min_ts=1000&max_ts=3000&cursor="
        == plan.trades("A", known, Cutoff(), 3_000).url
    )
    known.trades_to_s = 3_000
    assert (
        "/historical/trades?ticker=A&limit=1000&min_ts=2940&max_ts=9000&cursor="
        == plan.trades("A", known, Cutoff(5_001, 5_001), 9_000).url
    )


def test_candles_cover_the_life_of_a_market_without_holes():
    """Consecutive windows below the limit; a B with a slash stays one part of the path."""
    known = Known("S", 0, 5 * DAY, "finalized")
    urls = plan.candles("A/1", known, Cutoff())
    assert [
        "/series/S/markets/A%2F1/candlesticks?start_ts=0&end_ts=240000&period_interval=1",
        "/series/S/markets/A%2F1/candlesticks?start_ts=240000&end_ts=432000&period_interval=1",
    ] == urls
    assert plan.candles("A", known, Cutoff(9 * DAY, 0))[0].startswith("/historical/markets/A/candlesticks?")


def test_the_cutoff_is_read_from_its_answer():
    """Two lines, in seconds."""
    body = b'{"market_settled_ts":"1970-01-02T00:00:00Z","trades_created_ts":"1970-01-03T00:00:00Z","more":1}'
    assert Cutoff(DAY, 2 * DAY) == plan.cutoff_of(body)


def test_a_listing_ends_with_an_empty_cursor():
    """Passed back as it came; null and absent end it, too."""
    listing = Listing("/markets", "markets", {"limit": 1})
    assert "/markets?limit=1&cursor=" == listing.url
    assert 1 == len(listing.take(b'{"markets":[{}],"cursor":"a+b"}'))
    assert ("/markets?limit=1&cursor=a%2Bb", False) == (listing.url, listing.done)
    listing.take(b'{"markets":[],"cursor":null}')
    assert listing.done


@pytest.mark.parametrize(
    ("bodies", "words"),
    [
        ([b"[]"], "unexpected answer"),
        ([b'{"cursor":""}'], "expected a list `markets`, was absent"),
        ([b'{"markets":[],"cursor":"a"}', b'{"markets":[],"cursor":"a"}'], "came twice"),
        ([b'{"markets":[],"cursor":"a"}', b'{"markets":[],"cursor":"b"}'], "at most 2 pages"),
    ],
)
def test_a_listing_that_is_none_is_refused(bodies, words):
    """An absent list is no empty one, and a listing that does not end is none."""
    listing = Listing("/markets", "markets", {}, pages_max=2)
    *before, last = bodies
    for body in before:
        listing.take(body)
    with pytest.raises(NotAListing, match=words):
        listing.take(last)
