import json
import threading
from typing import Any

import msgspec
import pytest
from sink_rig import Running, chain, fill, writer

from sinks.assignment import PartitionStopped
from sinks.evolution import Compatible, unknown_fields, version_of
from sinks.tables import Tables
from topics.catalog import SINK_TOPICS
from topics.log import MemoryLog

TRADES = "fact.trade"


@pytest.fixture
def log() -> MemoryLog:
    """All topics of the sink, two partitions each."""
    memory = MemoryLog()
    memory.create({topic: {} for topic in SINK_TOPICS}, 2)
    return memory


def append(log: MemoryLog, make: Any, trade_id: str, *, version: str | None, partition: int = 0, **more: Any) -> None:
    """A trade as some version of the code would write it."""
    value = json.loads(make.record(TRADES, make.trade(trade_id=trade_id)).value) | more
    headers = () if version is None else (("schema", version.encode()),)
    log.appender().append(TRADES, json.dumps(value).encode(), partition=partition, headers=headers)


def test_a_field_that_we_do_not_know_is_kept_as_it_came(tables: Tables, log: MemoryLog, make: Any) -> None:
    """In its row, beside what the fact itself keeps as `extra`; a row without one has what the fact has."""
    fee = {"extra": {"fee": 1}}
    append(log, make, "t1", version="1", **fee)
    append(log, make, "t2", version="1", **fee, venue={"name": "x", "price": 0.30})
    append(log, make, "t3", version="1", **fee, fee=2)
    append(log, make, "t4", version="1")
    with Running(writer(log, tables, topics=[TRADES])) as running:
        running.drained()
    assert 2 == running.sink.unknown_fields()
    kept = ['{"fee": 1}', '{"fee":1,"venue":{"name": "x", "price": 0.3}}', '{"fee":1,"_fee":2}', "{}"]
    answer = tables.query_rows("SELECT extra FROM tapefold_api.trades ORDER BY trade_id")
    assert kept == [extra for (extra,) in answer.rows]


def test_rows_without_an_extra_of_their_own_have_the_column_too(tables: Tables, log: MemoryLog, make: Any) -> None:
    """A batch without unknown fields does not send it."""
    for row_id, more in (("a", {}), ("b", {"vwap": "0.51"})):
        value = json.loads(make.record("bars.1m", make.bar(row_id=row_id)).value) | {"minute_ns": ord(row_id)} | more
        log.appender().append("bars.1m", json.dumps(value).encode(), partition=0)
        with Running(writer(log, tables, topics=["bars.1m"])) as running:
            running.drained()
    for view in ("bars_1m", "bars_1m_journal"):
        answer = tables.query_rows(f"SELECT row_id, extra FROM tapefold_api.{view} ORDER BY row_id")
        assert [("a", "{}"), ("b", '{"vwap":"0.51"}')] == [tuple(row) for row in answer.rows]


def test_an_extra_that_is_no_object_is_refused_where_fields_must_join_it(
    tables: Tables, log: MemoryLog, make: Any
) -> None:
    """Foreign data on the topic: it goes to `dead`, and the sink goes on."""
    append(log, make, "t1", version="1", extra=5, venue="x")
    append(log, make, "t2", version="1")
    with Running(writer(log, tables, topics=[TRADES])) as running:
        running.drained()
    assert [("bad_value", "sink")] == [
        tuple(row) for row in tables.query_rows("SELECT reason, stage FROM tapefold_api.dead").rows
    ]
    assert 1 == tables.query_rows("SELECT count() FROM tapefold.trades").rows[0][0]


def test_what_our_own_code_writes_has_no_unknown_field(make: Any) -> None:
    """Nor has the same content in another form."""
    for event in (make.trade(), make.bar(), make.book(), make.gap(), make.coverage(), make.beat()):
        value = make.record(TRADES, event).value
        assert unknown_fields(event, value) is None
        assert unknown_fields(event, json.dumps(json.loads(value), indent=1).encode()) is None


def test_a_field_within_a_field_is_kept_under_its_path(make: Any) -> None:
    """However deep, in objects and in lists; what is known beside it is not."""

    class Inner(msgspec.Struct, omit_defaults=True):
        note: str = ""

    class Outer(msgspec.Struct):
        one: Inner
        many: list[Inner]
        named: dict[str, int]
        raw: msgspec.Raw

    said = {
        "one": {"note": "n", "new": {"a": [1.50]}},
        "many": [{}, {"note": "m", "odd name": None}],
        "named": {"x": 1},
        "raw": {"any": 1},
        "top": 7,
    }
    value = json.dumps(said).encode()
    found = unknown_fields(msgspec.json.decode(value, type=Outer), value)
    assert {"$.one.new": {"a": [1.5]}, '$.many[1]["odd name"]': None, "top": 7} == json.loads(found)
    trade = make.trade()
    more = json.loads(make.record(TRADES, trade).value)
    more["cause"].append("why")
    assert {"$.cause[4]": "why"} == json.loads(unknown_fields(trade, json.dumps(more).encode()))


def test_a_field_within_a_field_reaches_the_row_and_the_count(tables: Tables, log: MemoryLog, make: Any) -> None:
    """As one at the top does."""
    cause = [*json.loads(make.record(TRADES, make.trade()).value)["cause"], {"shard": 3}]
    append(log, make, "t1", version="1", extra={}, cause=cause)
    with Running(writer(log, tables, topics=[TRADES])) as running:
        running.drained()
    assert 1 == running.sink.unknown_fields()
    assert [('{"$.cause[4]":{"shard": 3}}',)] == [
        tuple(row) for row in tables.query_rows("SELECT extra FROM tapefold_api.trades").rows
    ]


def test_a_breaking_version_stops_its_partition_and_no_other(tables: Tables, log: MemoryLog, make: Any) -> None:
    """What stands before it is written; the error is of category C and names the offset."""
    append(log, make, "a", version=None)
    append(log, make, "b", version="1")
    append(log, make, "c", version="2")
    append(log, make, "d", version="1")
    append(log, make, "e", version="1", partition=1)
    sink = writer(log, tables, topics=[TRADES])
    with Running(sink) as running:
        running.until(lambda: {(TRADES, 0): 2, (TRADES, 1): 1} == running.sink.positions())
        append(log, make, "f", version="1", partition=1)
        running.until(lambda: running.sink.positions()[TRADES, 1] == 2)
    assert [2, 2] == [commits[-1][1] for commits in chain(tables, TRADES)]
    assert "category C" in str(sink._stopped[TRADES, 0])
    assert "fact.trade-0 at 2: expected a schema version within [1, 1], was 2" in str(sink._stopped[TRADES, 0])


def test_a_sink_with_nothing_left_to_do_ends_by_name(tables: Tables, log: MemoryLog, make: Any) -> None:
    """Its supervisor sees a refusal, not a crash."""
    for partition in (0, 1):
        append(log, make, "a", version="7", partition=partition)
    with pytest.raises(PartitionStopped, match=r"^schema_incompatible"):
        writer(log, tables, topics=[TRADES]).run(threading.Event())


def test_the_range_may_be_widened_and_the_check_switched_off(tables: Tables, log: MemoryLog, make: Any) -> None:
    """By an operator who has looked."""
    append(log, make, "a", version="2")
    with Running(writer(log, tables, topics=[TRADES], compatible=Compatible(True, 1, 2))) as running:
        running.drained()
    append(log, make, "b", version="9")
    with Running(writer(log, tables, topics=[TRADES], compatible=Compatible(validate=False))) as running:
        running.drained()
    assert 2 == tables.query_rows("SELECT count() FROM tapefold.trades").rows[0][0]


def test_raw_records_are_bytes_of_any_version(tables: Tables, log: MemoryLog) -> None:
    """Bronze interprets nothing."""
    fill(log, 2)
    log.appender().append("raw.kalshi.ws", b"x", partition=0, headers=(("schema", b"99"),))
    with Running(writer(log, tables, topics=["raw.kalshi.ws"])) as running:
        running.drained()
    assert 3 == tables.query_rows("SELECT count() FROM tapefold.raw_records").rows[0][0]
    assert ("", "") == (version_of(()), version_of((("schema", None),)))
