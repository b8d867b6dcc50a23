"""What users read of REST answers: versions of contracts, the current one, outcomes; each content once."""

import itertools
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from stored import insert_each, read

from sinks.tables import Tables
from topics.catalog import FACT_MARKET, FACT_TICK
from topics.codec import decode_fact
from topics.events import Market
from topics.kalshi_rest import AnyRest, MarketTerms, Settlement

EXAMPLES = Path(__file__).parents[2] / "topics" / "examples"
FACTS = [
    (topic, fact)
    for topic in (FACT_MARKET, FACT_TICK)
    for fact in map(decode_fact, (EXAMPLES / f"{topic}.jsonl").read_bytes().splitlines())
    if isinstance(fact, AnyRest)
]
TERMS = next(fact for _, fact in FACTS if isinstance(fact, MarketTerms))
SETTLED = next(fact for _, fact in FACTS if isinstance(fact, Settlement))


def test_every_golden_fact_is_a_row(tables: Tables, make: Any) -> None:
    """Each type in its view; nothing is refused."""
    insert_each(tables, *(make.record(topic, fact, offset) for offset, (topic, fact) in enumerate(FACTS)))
    views = ("market_versions", "markets", "settlement_versions", "settlements", "event_versions", "events", "series")
    for view in (*views, "market_polls", "candles", "book_polls", "documents"):
        assert [(1,)] == read(tables, "count()", view), view
    assert [(0,)] == read(tables, "count()", "dead")
    assert [(Decimal("77.000000"), None, "2026-09-15", "KNYC", "twc")] == read(
        tables, "floor_strike, cap_strike, climate_day, station, settlement_source", "markets"
    )
    assert [("[[80000,3000000],[220000,3333300]]", Decimal("0.460000"))] == read(tables, "yes, yes_ask", "book_polls")


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_version_stays_and_the_latest_is_current(tables: Tables, make: Any, order: Sequence[int]) -> None:
    """A contract that was told twice is one version, known since its earliest telling, whatever came first."""
    later = replace(TERMS, revision="b", close_ns=TERMS.close_ns + 1, updated_ns=TERMS.updated_ns + 9)
    told = [
        TERMS,
        replace(TERMS, known_ns=TERMS.known_ns + 5),
        replace(later, known_ns=TERMS.known_ns + 7),
        replace(later, known_ns=TERMS.known_ns + 8),
    ]
    insert_each(tables, *(make.record(FACT_MARKET, told[index], offset) for offset, index in enumerate(order)))
    assert [(TERMS.revision, 0), ("b", 7)] == read(
        tables, f"revision, toUnixTimestamp64Nano(known_at) - {TERMS.known_ns}", "market_versions", "2"
    )
    assert [("b",)] == read(tables, "revision", "markets")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_final_outcome_holds_over_a_provisional_one(tables: Tables, make: Any, order: Sequence[int]) -> None:
    """A determined result may be disputed; announcements of the socket count until REST tells the final one."""
    determined = replace(SETTLED, status="determined", result="no", settled_ns=None, known_ns=SETTLED.known_ns + 10)
    announced = Market(
        **make.fact(market_ticker=SETTLED.market_ticker, event_type="determined", result="no", known_ns=make.t0_ns)
    )
    told = [SETTLED, determined, announced]
    insert_each(tables, *(make.record(FACT_MARKET, told[index], offset) for offset, index in enumerate(order)))
    assert [(True, "yes", "81.00")] == read(tables, "final, result, expiration_value", "settlements")
    assert [(2,)] == read(tables, "count()", "settlement_versions")


def test_an_announced_outcome_is_shown_before_rest_tells_it(tables: Tables, make: Any) -> None:
    """The socket is faster."""
    insert_each(tables, make.record(FACT_MARKET, Market(**make.fact(event_type="determined", result="no")), 0))
    assert [(False, "no", None)] == read(tables, "final, result, expiration_value", "settlements")
