"""Each state fed far beyond its limits: the bytes that it is stored in stay below what ARCHITECTURE.md says of its key."""

from make import MARKET, at, gap, snapshot
from msgspec.structs import replace
from weather import climate, forecast, ns

from stream_processors.operators import asof, bars, books, labels, watermark
from stream_processors.pipeline import Batch, States, _encode_state
from topics.catalog import FACT_BOOK
from topics.codec import encode
from topics.events import Beat, Cause
from topics.kalshi_rest import Settlement
from topics.units import NS_PER_S

LEVELS = {cents * 10_000: 1_000_000_000 for cents in range(1, 100)}
DAY, HOUR_NS = "2024-11-27", 3_600_000_000_000


def test_books_of_a_market():
    """2,000 sessions that ended, forty that did not, each with all whole cents on both sides."""
    state = books.State()
    for number in range(2_000):
        conn = f"kalshi-ws-{number:08}"
        cause = Cause("raw.kalshi.ws", 3, 10**9 + number)
        books.step(
            state,
            [
                snapshot(1, at(number), LEVELS, LEVELS, conn=conn, cause=cause),
                gap(2, None, at(number, 5), kind="disconnect", conn=conn, cause=cause),
            ],
        )
    for number in range(40):
        cause = Cause("raw.kalshi.ws", 3, 2 * 10**9 + number)
        books.step(state, [snapshot(1, at(3_000), LEVELS, LEVELS, conn=f"kalshi-ws-open-{number:03}", cause=cause)])
    open_books = [book for book in state.books.values() if not book.ended]
    assert (16, 1_024 + 16) == (len(open_books), len(state.books))
    assert len(_encode_state(state)) <= 16 * (2 * 99 * 11 + 80) + 1_024 * 80 + 300


def test_sessions_of_quotes_of_a_market():
    """Three hundred sessions that quoted in the same ten open minutes."""
    states = States(lambda _: None)
    facts = [
        snapshot(minute + 1, at(minute), {400_000: 10}, {500_000: 10}, conn=f"kalshi-ws-{number:08}")
        for number in range(300)
        for minute in range(10)
    ]
    Batch(states, FACT_BOOK, 0, 1).fold(range(len(facts)), [encode(fact) for fact in facts])
    market = states.read(f"market/{MARKET}", bars.Market)
    assert len(market.sessions) == bars.SESSIONS_MAX
    assert len(_encode_state(market)) <= bars.SESSIONS_MAX * (75 + 30 * 10) + 100


def test_connections_of_a_lane():
    """Five thousand connections on each of four lanes, none of which is there any more."""
    state = watermark.State()
    for number in range(5_000):
        for lane in range(4):
            told = Beat(
                source="kalshi.ws", conn=f"kalshi-ws-{number:08}", raw_partition=lane, clock_ns=at(number),
                lease_ns=30 * NS_PER_S,
            )  # fmt: skip
            watermark.step(state, "fact.trade", [told])
    assert {watermark.CONNS_MAX} == {len(lane) for lane in state.lanes.values()}
    assert len(_encode_state(state)) <= 4 * watermark.CONNS_MAX * 40 + 200


def test_values_of_a_climate_day():
    """Twenty runs of five models, each with a hundred contents of both values."""
    state = asof.Day()
    for model in ("GFS", "MEX", "NAM", "NBS", "NBE"):
        for hour in range(20):
            run = f"2026-04-10 {hour:02}:00"
            for number in range(100):
                for valid in ("2026-04-12 00:00", "2026-04-11 12:00"):
                    made = forecast(run, valid, 70, run, offset=10**9 + number, revision=f"{number:016x}", model=model)
                    value = asof.value_of(made, -5 * 3_600)
                    assert value is not None
                    asof.add(state, value)
    assert len(_encode_state(state)) <= 5 * 20 * 2 * asof.REVISIONS_MAX * 70 + 2_000


def test_reports_and_outcomes_of_a_climate_day():
    """Five hundred contents of reports, five hundred outcomes."""
    state = labels.Day()
    for number in range(500):
        product, known_ns = f"202411280900-KMFL-CDUS42-CLIMIA-{number:03}", ns("2024-11-28 09:00") + number * HOUR_NS
        made = climate(f"{DAY} 00:00", 80, day=DAY, product=product, revision=f"{number:016x}")
        labels.add_report(state, replace(made, known_ns=known_ns, cause=Cause("raw.iem.cli", 0, 10**9 + number)))
        settlement = Settlement(
            market_ticker=f"KXHIGHMIA-24NOV27-B{number}.5", event_ticker="KXHIGHMIA-24NOV27", result="yes",
            climate_day=DAY, status="finalized", station="KMIA", settled_ns=known_ns, expiration_value="84.00",
            expiration_value_e6=84_000_000, event_ns=known_ns, received_ns=known_ns, known_ns=known_ns,
            known_by="observed", cause=Cause("raw.kalshi.rest", 0, 10**9 + number), conn="rest",
        )  # fmt: skip
        labels.add_outcome(state, settlement.market_ticker, labels.outcome_of(settlement))
    assert (labels.REPORTS_MAX, labels.REPORTS_MAX) == (len(state.reports), len(state.outcomes))
    assert len(_encode_state(state)) <= 2 * labels.REPORTS_MAX * 140
