from decimal import Decimal
from typing import Any

import msgspec
import pytest

from sinks import rows
from topics import catalog
from topics.codec import encode
from topics.events import BookDelta, Dead, Gap, Market, Tick
from topics.log import Record

CAUSE = {"cause_topic": "raw.kalshi.ws", "cause_partition": 1, "cause_offset": 7, "cause_index": 0}


def build(*records: Record) -> dict[str, Any]:
    """Table -> its rows, times as nanoseconds."""
    built = rows.build(records, topic_ids={"raw.kalshi.ws": "tid"}, code_version="v1")
    plain: dict[str, Any] = {}
    for table, arrow in built.items():
        arrow.validate(full=True)
        for index, field in enumerate(arrow.schema):
            if str(field.type).startswith("timestamp"):
                arrow = arrow.set_column(index, field.name, arrow[field.name].cast("int64"))  # noqa: PLW2901
        plain[table] = arrow.to_pylist()
    return plain


def provenance(topic: str, offset: int = 0) -> dict[str, Any]:
    """Where the record of a row stands."""
    return {"_topic": topic, "_partition": 0, "_offset": offset}


def test_bronze_is_the_record_byte_for_byte() -> None:
    """Any bytes, a missing key and repeated headers come through."""
    value = bytes(range(256))
    records = [
        Record("raw.kalshi.ws", 3, 2**40, 1_000, None, (("a", b"1"), ("a", b"\xff")), value),
        Record("raw.kalshi.ws", 4, 0, 2_000, b"\xfe", (), b""),
    ]
    expected = [
        {
            "_topic": "raw.kalshi.ws",
            "_topic_id": "tid",
            "_partition": 3,
            "_offset": 2**40,
            "_timestamp": 1_000_000_000,
            "_key": None,
            "_headers": [("a", b"1"), ("a", b"\xff")],
            "value": value,
        },
        {
            "_topic": "raw.kalshi.ws",
            "_topic_id": "tid",
            "_partition": 4,
            "_offset": 0,
            "_timestamp": 2_000_000_000,
            "_key": b"\xfe",
            "_headers": [],
            "value": b"",
        },
    ]
    assert {"raw_records": expected} == build(*records)


def test_a_trade_becomes_a_row(make: Any) -> None:
    """Prices in millionths, sizes in ten-thousandths, what was not told is NULL, text is any text."""
    event = make.trade(trade_id="é☃", is_block_trade=True, taker_book_side="bid")
    expected = {
        "trade_id": "é☃",
        "yes_price": Decimal("0.480000"),
        "no_price": Decimal("0.520000"),
        "size": Decimal("2.5000"),
        "taker_outcome_side": None,
        "taker_book_side": "bid",
        "is_block_trade": True,
        "extra": b"{}",
        "market_ticker": "KXHIGHMIA-26AUG06-B92",
        "event_at": make.t0_ns,
        "received_at": make.t0_ns + 1,
        "known_at": make.t0_ns + 2,
        "known_by": "observed",
        "conn": "a",
        "sid": 3,
        "seq": 11,
        **CAUSE,
        **provenance("fact.trade", 5),
    }
    assert {"trades": [expected]} == build(make.record("fact.trade", event, 5))


def test_a_tick_becomes_a_row(make: Any) -> None:
    """A frame without sizes has NULL sizes, and the ticker channel has no number."""
    event = Tick(
        **make.fact(
            seq=None,
            price_e6=1,
            yes_bid_e6=2,
            yes_ask_e6=3,
            volume_e4=4,
            open_interest_e4=5,
            yes_bid_size_e4=6,
            dollar_volume=7,
        )
    )
    (row,) = build(make.record("fact.tick", event))["market_ticks"]
    assert [Decimal("0.000001"), Decimal("0.000002"), Decimal("0.000003")] == [
        row["price"],
        row["yes_bid"],
        row["yes_ask"],
    ]
    assert [Decimal("0.0004"), Decimal("0.0005"), Decimal("0.0006")] == [
        row["volume"],
        row["open_interest"],
        row["yes_bid_size"],
    ]
    assert [7, None, None, None, None, None] == [
        row[name]
        for name in ("dollar_volume", "dollar_open_interest", "yes_ask_size", "last_trade_size", "market_id", "seq")
    ]


def test_a_market_event_becomes_a_row(make: Any) -> None:
    """Seconds become times, and the terms stay the text that was sent."""
    event = Market(
        **make.fact(
            event_type="settled",
            close_ts=1_786_000_000,
            result="no",
            settlement_value_e6=0,
            terms=msgspec.Raw(b'{"a": 1.0}'),
        )
    )
    (row,) = build(make.record("fact.market", event))["market_events"]
    assert {
        "event_type": "settled",
        "open_at": None,
        "close_at": 1_786_000_000_000_000_000,
        "result": "no",
        "settlement_value": Decimal(0),
        "terms": b'{"a": 1.0}',
    } == {name: row[name] for name in ("event_type", "open_at", "close_at", "result", "settlement_value", "terms")}


def test_coverage_becomes_a_row_and_a_gap_fact_does_not(make: Any) -> None:
    """Gaps arrive on their own topic, with their repair."""
    gap = Gap(**make.fact(source="kalshi.ws", channel="trade", kind="stall", from_seq=None, to_seq=None))
    built = build(
        make.record("fact.gap", gap, 0),
        make.record("fact.gap", make.coverage(ended_ns=make.t0_ns + 5, ended_by="stop"), 1),
    )
    assert ["coverage"] == list(built)
    (row,) = built["coverage"]
    assert [make.t0_ns, make.t0_ns + 5, "stop", "trade"] == [
        row[name] for name in ("started_at", "ended_at", "ended_by", "channel")
    ]


def test_beats_are_rows_of_one_topic_only(make: Any) -> None:
    """A beat stands on every fact topic; one of them is enough."""
    built = build(make.record("fact.trade", make.beat(bye=True)), make.record("fact.tick", make.beat()))
    expected = {
        "source": "kalshi.ws",
        "conn": "a",
        "raw_partition": 1,
        "clock_at": make.t0_ns,
        "lease_ns": 5_000_000_000,
        "bye": True,
        **provenance("fact.trade"),
    }
    assert {"beats": [expected]} == built


def test_a_book_row_keeps_the_change_and_the_levels(make: Any) -> None:
    """A delta may be negative, an empty side is NULL."""
    (row,) = build(make.record("books", make.book()))["books"]
    expected = {
        "row_id": "book1",
        "kind": "delta",
        "side": "no",
        "price": Decimal("0.520000"),
        "delta": Decimal("-1.0000"),
        "trusted": True,
        "yes_bid": Decimal("0.470000"),
        "yes_bid_size": Decimal("5.0000"),
        "yes_ask": None,
        "yes_ask_size": None,
        "seq": 11,
        **CAUSE,
        **provenance("books"),
    }
    assert expected == {name: row[name] for name in expected}


def test_a_bar_goes_to_its_table_and_to_the_journal(make: Any) -> None:
    """Both hold the same columns; a minute without trades has NULL prices."""
    empty = make.bar(open_e6=None, high_e6=None, low_e6=None, close_e6=None, volume_e4=0, trades=0, closed=True, rev=1)
    built = build(make.record("bars.1m", empty))
    assert built["bars_1m"] == built["bars_1m_journal"]
    (row,) = built["bars_1m"]
    assert [None, None, Decimal(0), 0, True, 1] == [
        row[name] for name in ("open", "close", "volume", "trades", "closed", "rev")
    ]
    assert empty.minute_ns == row["minute"]


def test_a_gap_row_keeps_its_repair(make: Any) -> None:
    """An open gap has no repair."""
    built = build(
        make.record("gaps", make.gap(), 0), make.record("gaps", make.gap(rev=2, repaired_ns=make.t0_ns + 9), 1)
    )
    assert [(1, None), (2, make.t0_ns + 9)] == [(row["rev"], row["repaired_at"]) for row in built["gaps"]]


def test_a_dead_row_is_copied(make: Any) -> None:
    """What ingest and fold refused is told as they told it."""
    event = Dead(
        reason="bad_value",
        detail="d",
        stage="ingest",
        code_version="v0",
        cause=make.cause(),
        received_ns=5,
        value_text="x",
    )
    expected = {
        "reason": "bad_value",
        "detail": "d",
        "stage": "ingest",
        "code_version": "v0",
        "received_at": 5,
        "value_text": "x",
        **CAUSE,
        **provenance("dead"),
    }
    assert {"dead": [expected]} == build(make.record("dead", event))


def test_told_and_own_refusals_stand_in_one_table(make: Any) -> None:
    """Rows of the topic `dead` and the sink's own go into one insert; a bar that fits no table is refused once."""
    told = Dead(
        reason="conflict",
        detail="d",
        stage="fold",
        code_version="v0",
        cause=make.cause(),
        received_ns=5,
        value_text="x",
    )
    built = build(make.record("bars.1m", make.bar(trades=-1), 3), make.record("dead", told, 4))
    assert [("fold", "conflict", 7), ("sink", "bad_value", 3)] == [
        (row["stage"], row["reason"], row["cause_offset"]) for row in built["dead"]
    ]
    assert ["dead"] == list(built)


def bad(make: Any) -> list[tuple[str, str, bytes, str]]:
    """(name, topic, value, reason) of records that no decoder or no column takes."""
    trade = encode(make.trade())
    return [
        ("no JSON", "fact.trade", b"\xff\x00", "not_json"),
        ("cut off", "fact.trade", trade[:-5], "not_json"),
        ("nothing", "fact.trade", b"", "not_json"),
        ("invalid UTF-8", "fact.trade", trade.replace(b"t1", b"\xff\xfe"), "not_json"),
        ("deep", "fact.trade", b'{"type":"trade","x":' + b"[" * 100_000, "not_json"),
        ("unknown type", "fact.trade", b'{"type":"nonsense"}', "bad_value"),
        ("lacks fields", "bars.1m", b"{}", "bad_value"),
        ("price beyond int64", "fact.trade", trade.replace(b"480000", b"9" * 30), "bad_value"),
        ("price beyond Decimal", "fact.trade", trade.replace(b"480000", b"9" * 18 + b"0"), "bad_value"),
        ("negative offset", "fact.trade", encode(make.trade(cause=make.cause(-1))), "bad_value"),
        ("time beyond 2262", "fact.trade", encode(make.trade(known_ns=2**63)), "bad_value"),
        ("negative count", "bars.1m", encode(make.bar(trades=-1)), "bad_value"),
        ("dead without meaning", "dead", b"[]", "bad_value"),
    ]


@pytest.mark.parametrize("index", range(13))
def test_a_refused_record_is_dead_and_the_others_pass(make: Any, index: int) -> None:
    """Each kind of foreign data leaves one deterministic row with stage `sink`, and stops nobody else."""
    name, topic, value, reason = bad(make)[index]
    good = {"bars.1m": make.bar(), "fact.trade": make.trade()}.get(topic)
    records = [make.record(topic, value, 9)]
    if good is not None:
        records = [make.record(topic, good, 8), *records, make.record(topic, good, 10)]
    built = build(*records)
    (row,) = built.pop("dead")
    assert (reason, "sink", "v1", None) == (row["reason"], row["stage"], row["code_version"], row["received_at"]), name
    assert (topic, 0, 9, 0) == tuple(row[f"cause_{field}"] for field in ("topic", "partition", "offset", "index")), name
    assert row["detail"], name
    assert all([8, 10] == [each["_offset"] for each in part] for part in built.values()), name
    assert (good is not None) == bool(built), name


def test_the_text_of_a_refused_record_is_short_and_printable(make: Any) -> None:
    """At most 4 KiB, and no byte that is no text."""
    (row,) = build(make.record("fact.trade", b"\xff" + b"x" * 10_000))["dead"]
    assert "\\xff" + "x" * 4095 == row["value_text"]


def test_facts_without_a_table_leave_no_row(make: Any) -> None:
    """A book change on a topic of the sink is no row and no error."""
    assert {} == build(
        make.record("fact.trade", BookDelta(**make.fact(side="yes", price_e6=1, delta_e4=1))),
    )


def test_equal_records_give_equal_tables(make: Any) -> None:
    """What the token stands for does not change between two tries."""
    records = [make.record("books", make.book(), 1), make.record("fact.trade", b"?", 2)]
    first, second = (rows.build(records, topic_ids={}, code_version="v") for _ in range(2))
    assert ["books", "dead"] == list(first)
    assert all(first[table].equals(second[table]) for table in first)


def test_raw_topic_names_are_told_apart_by_the_rank_of_facts() -> None:
    """`_rank` in 0003_facts.sql orders topics by their first 13 bytes: that is the order of the whole names."""
    starts = [name.encode()[:13] for name in sorted(catalog.RAW_TOPICS)]
    assert starts == sorted(set(starts))
