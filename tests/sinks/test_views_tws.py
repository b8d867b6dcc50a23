"""What users read of TWS: every content of a bar once, whatever the order in which the tellings come."""

import itertools
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from stored import insert_each, read

from sinks.tables import Tables
from topics.catalog import BARS_TWS, FACT_BAR
from topics.codec import decode_fact
from topics.tws import TwsBar, TwsError, TwsOutage, TwsUnit

GOLDEN = (Path(__file__).parents[2] / "topics" / "examples" / f"{FACT_BAR}.jsonl").read_bytes().splitlines()
FACTS = [decode_fact(line) for line in GOLDEN]
BAR = next(fact for fact in FACTS if isinstance(fact, TwsBar))


def test_every_golden_fact_is_a_row(tables: Tables, make: Any) -> None:
    """Bars, units, outages and errors go to their tables; nothing is refused."""
    insert_each(tables, *(make.record(FACT_BAR, fact, offset) for offset, fact in enumerate(FACTS)))
    for kind, view in (
        (TwsBar, "raw_tws_bars"),
        (TwsUnit, "tws_units"),
        (TwsOutage, "tws_outages"),
        (TwsError, "tws_errors"),
    ):
        assert [(sum(isinstance(fact, kind) for fact in FACTS),)] == read(tables, "count()", view), view
    assert [(0,)] == read(tables, "count()", "dead")


def test_a_bar_is_exactly_typed(tables: Tables, make: Any) -> None:
    """Money is Decimal, what TWS did not say is NULL, and the rest of a file's columns is kept."""
    bar = replace(BAR, volume_e4=None, average_e6=None, count=None, con_id=None, use_rth=None)
    insert_each(tables, make.record(FACT_BAR, bar))
    expected = (Decimal("100.000000"), None, None, None, None, None, bar.event_ns, bar.end_ns, {})
    ((*row, terms),) = read(
        tables,
        "open, volume, average, count, con_id, use_rth, toUnixTimestamp64Nano(event_at), toUnixTimestamp64Nano(end_at), terms",
        "raw_tws_bars",
    )
    assert expected == (*row, json.loads(terms))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_every_content_of_a_bar_stays_once(tables: Tables, make: Any, order: Sequence[int]) -> None:
    """The same content told again keeps its earliest telling; a correction stands beside it."""
    told = [
        replace(BAR, conn="first"),
        replace(BAR, conn="again", known_ns=BAR.known_ns + 1, received_ns=BAR.received_ns + 1),
        replace(BAR, conn="corrected", close_e6=BAR.close_e6 + 10_000, known_ns=BAR.known_ns + 1),
    ]
    insert_each(tables, *(make.record(FACT_BAR, told[index], offset) for offset, index in enumerate(order)))
    assert [("corrected",), ("first",)] == read(tables, "conn", "raw_tws_bars")


@pytest.mark.parametrize("other", [{"con_id": 1}, {"what_to_show": "BID"}, {"bar_size": "5 mins"}, {"use_rth": False}])
def test_bars_of_another_request_are_other_bars(tables: Tables, make: Any, other: dict[str, Any]) -> None:
    """Contract, kind of price, size and hours are part of a bar's identity."""
    insert_each(tables, make.record(FACT_BAR, BAR, 0), make.record(FACT_BAR, replace(BAR, **other), 1))
    assert [(2,)] == read(tables, "count()", "raw_tws_bars")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_end_of_an_outage_replaces_its_beginning(tables: Tables, make: Any, order: Sequence[int]) -> None:
    """An outage is one row, also when its end lands first."""
    (ended,) = [fact for fact in FACTS if isinstance(fact, TwsOutage)]
    told = [replace(ended, ended_ns=None, data_lost=None), ended]
    insert_each(tables, *(make.record(FACT_BAR, told[index], offset) for offset, index in enumerate(order)))
    assert [(ended.ended_ns, True, ["AAPL"])] == read(
        tables, "toUnixTimestamp64Nano(assumeNotNull(ended_at)), data_lost, symbols", "tws_outages"
    )


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_curated_minute_is_its_latest_revision(tables: Tables, make: Any, order: Sequence[int]) -> None:
    """One row per minute: the correction, known since it came, also when the first revision lands late."""
    golden = (Path(__file__).parents[2] / "topics" / "examples" / f"{BARS_TWS}.jsonl").read_bytes().splitlines()
    insert_each(tables, *(make.record(BARS_TWS, golden[index], offset) for offset, index in enumerate(order)))
    assert [(2, 2, Decimal("100.510000"), "AAPL")] == read(
        tables, "rev, contents, close, symbol", "curated_tws_1m_bars"
    )
