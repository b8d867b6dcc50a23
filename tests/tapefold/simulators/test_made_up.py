"""The made-up weather markets: one world with the reports, told alike by the socket and by REST."""

import json
from collections import Counter
from datetime import date

import pytest
from faults import always

from tapefold.simulators.iem.generated import Chances, Generated
from tapefold.simulators.kalshi.archive import ROOT, Archive
from tapefold.simulators.kalshi.books import Books
from tapefold.simulators.kalshi.made_up import made_up_of
from tapefold.simulators.kalshi.recording import find_files, timeline
from tapefold.simulators.scenario import NONE
from topics.climate_day import from_iso
from topics.errors import Refused
from topics.units import NS_PER_DAY, NS_PER_HOUR

S = 10**9
DAY = date(2026, 3, 8)  # the clocks change
SERIES = ["KXHIGHMIA", "KXLOWTNYC"]


def world(seed=5, scenario=NONE, day=DAY, pause_s=600.0):
    """Two events."""
    return made_up_of(SERIES, day, 1, seed=seed, weather=scenario, pause_s=pause_s)


def frames(made):
    """The socket's frames as decoded objects."""
    return [json.loads(line)["event"] for line in made.lines]


def told(made, name):
    """The bodies of REST of one kind."""
    return [(one.at_s, body[name]) for one in made.told if name in (body := json.loads(one.body))]


def test_the_same_seed_is_the_same_world():
    """Bytes, and another seed is another one."""
    assert world().lines == world().lines
    assert world().told == world().told
    assert world().lines != world(seed=6).lines


def test_both_channels_tell_the_same_trades():
    """Ids, prices, sizes, sides; REST's time is the socket's with microseconds."""
    made = world()
    by_socket = {
        f["msg"]["trade_id"]: (f["msg"]["market_ticker"], f["msg"]["yes_price_dollars"], f["msg"]["count_fp"])
        for f in frames(made)
        if f["type"] == "trade"
    }
    by_rest = {t["trade_id"]: (t["ticker"], t["yes_price_dollars"], t["count_fp"]) for _, (t,) in told(made, "trades")}
    assert len(by_socket) > 50
    assert by_socket == by_rest


def test_books_never_fall_below_zero_and_each_market_has_its_snapshot_first(tmp_path):
    """The exchange's own book folds the whole of it."""
    path = tmp_path / "w.ndjson"
    made = world()
    path.write_bytes(b"\n".join(made.lines))
    books = Books()
    for frame in timeline(find_files([path])):
        if frame.kind.startswith("orderbook"):
            books.fold(frame)
    assert all(books.get(ticker) is not None for ticker in made.tickers)


@pytest.mark.parametrize("scenario", [NONE, always("correction")])
def test_exactly_one_strike_of_an_event_wins_by_the_report_that_stood_at_eight(scenario):
    """Daylight saving or not, a correction before the check counts; one after it does not."""
    made = world(scenario=scenario)
    weather = Generated(["KMIA", "KNYC"], seed=5, chances=Chances(), scenario=scenario)
    final = {m["ticker"]: m for _, m in told(made, "market") if m["status"] == "finalized"}
    assert set(made.tickers) == set(final)
    for series, station, measure in (("KXHIGHMIA", "KMIA", "high"), ("KXLOWTNYC", "KNYC", "low")):
        markets = [m for ticker, m in final.items() if ticker.startswith(series)]
        assert Counter(yes=1, no=5) == Counter(m["result"] for m in markets)
        reports = weather.products(station, from_iso("2026-03-08") * NS_PER_DAY, from_iso("2026-03-12") * NS_PER_DAY)
        check_ns = (
            from_iso("2026-03-09") * NS_PER_DAY + 12 * NS_PER_HOUR
        )  # 8 o'clock, daylight time since the day before
        stood = [r for r in reports if r.day == "2026-03-08" and r.issued_ns <= check_ns][-1]
        assert {f"{stood.row[measure]}.00"} == {m["expiration_value"] for m in markets}
        assert {"2026-03-09T13:00:00Z"} == {m["settlement_ts"] for m in markets}


def test_rest_tells_what_is_told_by_its_time():
    """Markets, trades and candles come one after the other; a finalized market is no longer open."""
    made, now = world(), [0.0]
    archive = Archive((), told=made.told, now_s=lambda: now[0])

    def at(hours, path, query=""):
        now[0] = made.start_ns / S + hours * 3600
        return json.loads(archive.reply(path, query)[1])

    assert {"initialized"} == {m["status"] for m in at(1, "/markets", "series_ticker=KXHIGHMIA")["markets"]}
    assert [] == at(4, "/markets/trades")["trades"]
    few = len(at(10, "/markets/trades", "limit=1000")["trades"])
    assert 0 < few < len(at(20, "/markets/trades", "limit=1000")["trades"])
    assert {"active"} == {m["status"] for m in at(21, "/markets", "series_ticker=KXHIGHMIA")["markets"]}
    assert {"finalized"} == {m["status"] for m in at(60, "/markets", "series_ticker=KXHIGHMIA")["markets"]}
    assert len(told(made, "trades")) == len(at(61, "/markets/trades", "limit=1000")["trades"])
    candles = at(61, f"/series/KXHIGHMIA/markets/{made.tickers[0]}/candlesticks")["candlesticks"]
    assert len({one["end_period_ts"] for one in candles}) == len(candles) > 50


def test_the_settlement_source_changes_with_the_era():
    """Rules and sources of August 2026 name The Weather Company, and the station stands in the rules alone."""
    for day, words in ((DAY, "National Weather Service"), (date(2026, 8, 20), "The Weather Company")):
        made = world(day=day)
        assert all(words in m["rules_primary"] for _, m in told(made, "market"))
        assert {words} == {source["name"] for _, s in told(made, "series") for source in s["settlement_sources"]}


def test_notices_tell_each_change_of_a_status_once():
    """The bodies of the made-up webhooks."""
    said = Counter(json.loads(body)["type"] for body in world().notices())
    assert dict.fromkeys(("initialized", "active", "closed", "determined", "finalized"), 12) == {
        name.removeprefix("market."): count for name, count in said.items()
    }


def test_what_is_no_weather_series_is_refused():
    """By its name."""
    with pytest.raises(Refused, match="KXBTC"):
        made_up_of(["KXBTC"], DAY, 1, seed=1, weather=NONE)
    with pytest.raises(Refused, match="0"):
        made_up_of(SERIES, DAY, 0, seed=1, weather=NONE)


def test_the_root_is_the_vendors():
    """Paths are those that the recorder asks for."""
    assert all(one.path.startswith(ROOT + "/") for one in world().told)
