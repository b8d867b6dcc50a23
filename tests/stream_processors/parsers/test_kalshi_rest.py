"""REST answers: the facts of recorded ones agree with an independent count of the files; shapes of all eras."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from kalshi_answers import (
    API,
    BOOK,
    CANDLE,
    CUTOFF,
    DATA,
    FETCHED,
    HISTORICAL_CANDLE,
    LOADED,
    MARKET,
    RECEIVED_NS,
    TRADE,
    facts_of,
    recorded,
    shipped,
)

from topics.errors import BadRecord
from topics.events import Trade
from topics.kalshi_rest import BookPoll, Candle, Document, Event, MarketPoll, MarketTerms, Series, Settlement

CPRATIM = DATA / "cpratim" / "kxhighny"
TRADES = CPRATIM / "trades" / "2025-03-15.json.gz"
EVENT = CPRATIM / "events" / "2025-03-15.json.gz"


def all_facts(path, envelope=FETCHED):
    return [fact for url, body in recorded(path) for fact in facts_of(url, body, envelope)]


def only(facts, kind):
    return [fact for fact in facts if isinstance(fact, kind)]


def micros(text):
    moment = datetime.fromisoformat(text)
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 10**6 + moment.microsecond


def test_recorded_trades_agree_with_a_count_of_the_file():
    """Every trade of a market day, with its cents as millionths and its microseconds kept."""
    trades = [trade for listed in json.loads(gzip.decompress(TRADES.read_bytes())).values() for trade in listed]
    facts = all_facts(TRADES)
    assert Counter({Trade: len(trades)}) == Counter(map(type, facts))
    assert sum(trade["count"] for trade in trades) * 10_000 == sum(fact.size_e4 for fact in facts)
    assert [
        (t["trade_id"], t["ticker"], t["yes_price"] * 10_000, t["no_price"] * 10_000, micros(t["created_time"]) * 1_000)
        for t in trades
    ] == [(f.trade_id, f.market_ticker, f.yes_price_e6, f.no_price_e6, f.event_ns) for f in facts]
    assert Counter(t["taker_side"] for t in trades) == Counter(f.taker_outcome_side for f in facts)


def test_a_recorded_event_agrees_with_the_file():
    """The event, and of each market its contract, what moves and the outcome, against the JSON itself."""
    body = json.loads(gzip.decompress(EVENT.read_bytes()))
    facts = all_facts(EVENT)
    terms, settlements = only(facts, MarketTerms), only(facts, Settlement)
    (event,) = only(facts, Event)
    assert (body["event"]["event_ticker"], "KXHIGHNY", "2025-03-15", "KNYC") == (
        event.event_ticker, event.series_ticker, event.climate_day, event.station,
    )  # fmt: skip
    assert [
        (m["ticker"], m.get("floor_strike"), m.get("cap_strike"), m["strike_type"], m["rules_primary"])
        for m in body["markets"]
    ] == [
        (t.market_ticker, t.floor_strike_e6 and t.floor_strike_e6 // 10**6, t.cap_strike_e6 and t.cap_strike_e6 // 10**6,
         t.strike_type, t.rules_primary)
        for t in terms
    ]  # fmt: skip
    assert [
        (m["ticker"], m["result"], m["expiration_value"], m["settlement_value"] * 10_000) for m in body["markets"]
    ] == [(s.market_ticker, s.result, s.expiration_value, s.settlement_value_e6) for s in settlements]
    assert 1 == sum(settlement.result == "yes" for settlement in settlements)
    assert {int(Decimal(m["expiration_value"]) * 10**6) for m in body["markets"]} == {
        s.expiration_value_e6 for s in settlements
    }
    assert {"nws"} == {t.settlement_source for t in terms}


def test_every_shipped_answer_is_read_without_a_refusal():
    """Counts of production answers, taken from the JSON beside the parser."""
    kinds = Counter(type(fact) for url, body in shipped() for fact in facts_of(url, body))
    trades = sum(len(listed) for listed in json.loads(gzip.decompress(TRADES.read_bytes())).values()) + 5
    assert trades == kinds[Trade]
    candles = 0
    for name in ("series_candlesticks", "candlesticks_batch", "event_candlesticks"):
        response = json.loads(gzip.decompress((DATA / "starter-golden" / f"{name}_response.json.gz").read_bytes()))
        candles += json.dumps(response).count('"end_period_ts"')
    assert candles == kinds[Candle]
    assert {tuple} & set(kinds) == set()
    assert {Event, Series, MarketTerms, MarketPoll, Settlement, BookPoll, Document} <= set(kinds)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("cpratim-weather-trades", {"trades": 92_079, "settled": 414}),
        ("headless-weather-books-2026-07", {"books": 533}),
        ("orestiskait-kxhigh-2026-02", {"settled": 24}),
    ],
)
def test_the_recorded_sets_are_read_whole(folder, expected):
    """Counts that were taken from the files by other means; nothing is refused."""
    path = DATA.parents[3] / "shared" / "data" / "kalshi-rest" / folder
    if not path.is_dir():
        pytest.skip(f"needs the recordings of {folder}, which are not shipped")
    kinds = Counter()
    for file in sorted(path.rglob("*.json*")):
        for url, body in recorded(file):
            for fact in facts_of(url, body):
                kinds[type(fact)] += 1
                kinds["final"] += isinstance(fact, Settlement) and fact.status == "finalized"
    assert 0 == kinds[tuple]
    found = {"trades": kinds[Trade], "settled": kinds["final"], "books": kinds[BookPoll] if "books" in expected else 0}
    assert expected == {name: found[name] for name in expected}


def test_a_market_of_today_is_typed_in_all_its_parts():
    """Strings of money, the climate day, station and settlement source from ticker and rules; new fields are kept."""
    terms, poll = facts_of(f"{API}/markets/{MARKET['ticker']}", {"market": MARKET | {"brand_new": [1.50]}})
    assert ("2026-09-15", "KNYC", "NYC", "high", "twc") == (
        terms.climate_day, terms.station, terms.cli, terms.measure, terms.settlement_source,
    )  # fmt: skip
    assert (77_000_000, None, "KXHIGHNY") == (terms.floor_strike_e6, terms.cap_strike_e6, terms.series_ticker)
    assert (400_000, 420_000, 410_000, 125_000, 12_002_500) == (
        poll.yes_bid_e6, poll.yes_ask_e6, poll.last_price_e6, poll.yes_bid_size_e4, poll.volume_e4,
    )  # fmt: skip
    assert b'{"brand_new":[1.5],"exchange_index":0}' == bytes(poll.extra)


def test_a_market_whose_rules_name_another_station_is_refused():
    """A wrong registry must not settle a market on another city's thermometer."""
    rules = MARKET["rules_primary"].replace("CLINYC", "CLIJFK")
    (cause, error), *rest = facts_of(f"{API}/markets", {"markets": [MARKET | {"rules_primary": rules}, MARKET]})
    assert ("conflict", 1_234) == (error.reason, cause.offset)
    assert [MarketTerms, MarketPoll] == [type(fact) for fact in rest]


def test_revisions_are_hashes_of_the_content_alone():
    """The same contract told again, with other quotes and at another time, is the same revision; a new close is not."""

    def revision(market, envelope=FETCHED):
        return facts_of(f"{API}/markets/x", {"market": market}, envelope)[0].revision

    first = revision(MARKET)
    assert first == revision(MARKET | {"yes_bid_dollars": "0.0100", "updated_time": "2026-09-14T10:00:00Z"}, LOADED)
    assert first != revision(MARKET | {"close_time": "2026-09-16T06:00:00Z"})


def test_a_rest_trade_has_the_material_fields_of_its_twin():
    """Id, millisecond, prices and size, whichever channel told it; unknown fields are kept."""
    (trade,) = facts_of(f"{API}/markets/trades", {"trades": [TRADE | {"venue": "x"}]})
    assert ("8e1f0f3e-0001", 1_789_398_000_417, 360_000, 640_000, 1_362_500) == (
        trade.trade_id, trade.event_ns // 10**6, trade.yes_price_e6, trade.no_price_e6, trade.size_e4,
    )  # fmt: skip
    assert ("no", "ask", False, 0, b'{"venue":"x"}') == (
        trade.taker_outcome_side, trade.taker_book_side, trade.is_block_trade, trade.sid, bytes(trade.extra),
    )  # fmt: skip


def test_live_and_historical_candles_are_one_fact():
    """Other field names, the same content, hence the same revision."""
    (live,) = facts_of(f"{API}/series/S/markets/A-1/candlesticks?period_interval=1", {"candlesticks": [CANDLE]})
    (old,) = facts_of(
        f"{API}/historical/markets/A-1/candlesticks?period_interval=1", {"candlesticks": [HISTORICAL_CANDLE]}
    )
    assert (100_000, 300_000, 200_000, None, 100_000, 60) == (
        live.open_e6, live.high_e6, live.close_e6, live.previous_e6, live.volume_e4, live.period_s,
    )  # fmt: skip
    assert live.revision == old.revision


def test_a_book_shows_its_best_levels():
    """A no bid at 0.54 is a yes ask at 0.46; an empty book has neither."""
    (book,) = facts_of(f"{API}/markets/A-1/orderbook", BOOK)
    assert (220_000, 460_000, 2) == (book.yes_bid_e6, book.yes_ask_e6, len(book.yes))
    (empty,) = facts_of(f"{API}/markets/A-1/orderbook", {"orderbook_fp": {"yes_dollars": None, "no_dollars": None}})
    assert (None, None, ()) == (empty.yes_bid_e6, empty.yes_ask_e6, empty.yes)


def test_the_cutoff_is_kept_whole():
    """The line between the live and the historical endpoints is data."""
    (document,) = facts_of(f"{API}/historical/cutoff", CUTOFF)
    assert ("cutoff", CUTOFF) == (document.kind, json.loads(bytes(document.body)))


def test_what_was_fetched_is_known_when_it_was_fetched():
    """Facts of today about the past: a decision of the past could not have used them from us."""
    url = f"{API}/markets/trades"
    for fact in [*facts_of(url, {"trades": [TRADE]}), *all_facts(EVENT)]:
        assert ("observed", RECEIVED_NS) == (fact.known_by, fact.known_ns)


def test_what_was_loaded_without_a_stamp_is_known_by_stated_rules():
    """Trades as they happened, contracts at the opening, outcomes at settlement or the latest expiration."""
    facts = all_facts(EVENT, LOADED)
    for fact in facts:
        match fact:
            case MarketTerms():
                assert ("assumed", fact.open_ns) == (fact.known_by, fact.known_ns)
            case Settlement() | MarketPoll():
                body = {t.market_ticker: t for t in only(facts, MarketTerms)}[fact.market_ticker]
                assert ("assumed", body.latest_expiration_ns) == (fact.known_by, fact.known_ns)
    assert all(fact.event_ns == fact.known_ns for fact in all_facts(TRADES, LOADED))
    (settled,) = only(all_facts(DATA / "settled-mia.json", LOADED), Settlement)
    assert (micros("2026-04-20T19:05:12.915146Z") * 1_000, "No", None) == (
        settled.known_ns, settled.expiration_value, settled.expiration_value_e6,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("url", "status", "body", "reason"),
    [
        (f"{API}/markets", 200, b"<html>", "not_json"),
        (f"{API}/markets", 200, b"[]", "bad_value"),
        (f"{API}/markets", 200, b'{"cursor":""}', "missing_field"),
        (f"{API}/markets", 404, b'{"error":{"code":"not_found"}}', "bad_status"),
        (f"{API}/portfolio/fills", 200, b"{}", "unknown_type"),
        (f"{API}/series/S/markets/A/candlesticks", 200, b'{"candlesticks":[{}]}', "bad_value"),
    ],
)
def test_an_answer_that_is_none_is_refused_as_a_whole(url, status, body, reason):
    """Each with its reason from the closed list."""
    with pytest.raises(BadRecord) as caught:
        facts_of(url, body, status=status)
    assert reason == caught.value.reason


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("count_fp", "1e3", "bad_value"),
        ("count_fp", None, "missing_field"),
        ("yes_price_dollars", "-0.10", "bad_value"),
        ("yes_price_dollars", 0.1, "bad_value"),
        ("created_time", "yesterday", "bad_value"),
        ("trade_id", "", "missing_field"),
        ("taker_outcome_side", "maybe", "bad_value"),
    ],
)
def test_one_bad_trade_is_refused_and_the_others_stand(field, value, reason):
    """The refusal names its place in the answer."""
    good = TRADE | {"trade_id": "good"}
    bad = {name: each for name, each in (TRADE | {field: value}).items() if each is not None}
    first, second = facts_of(f"{API}/markets/trades", {"trades": [bad, good]})
    assert (reason, "good") == (first[1].reason, second.trade_id)
    assert first[0].index != second.cause.index


def test_an_empty_list_is_an_answer():
    """No facts and no refusal; whether it means absence is for who asked to judge."""
    assert [] == facts_of(f"{API}/markets", {"markets": [], "cursor": ""})


def test_what_stands_beside_the_items_is_kept():
    """Milestones of events and whatever comes next year."""
    (document,) = facts_of(f"{API}/events", {"events": [], "cursor": "", "milestones": [{"id": 1}]})
    assert ("listing", {"milestones": [{"id": 1}]}) == (document.kind, json.loads(bytes(document.body)))
