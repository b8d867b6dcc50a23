"""The read-back finds what is lost in every table, an older telling in the place of a newer one among it."""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from sink_rig import FaultyTables, Running, killed_at, writer

from sinks.identity import Schemas
from sinks.readback import Readback
from sinks.rows import RAW_RECORDS, build_stretches
from sinks.tables import Tables
from topics.catalog import SINK_TOPICS
from topics.log import MemoryLog, Record, stretches_of

EXAMPLES = Path(__file__).parents[2] / "topics" / "examples"
BARS = "bars.1m"
TRADES = "fact.trade"


def built(*records: Record) -> Any:
    """What the sink makes of records."""
    return build_stretches(stretches_of(list(records)), topic_ids={}, code_version="v1")


def golden(topic: str) -> list[Record]:
    """The shipped examples of a topic."""
    lines = (EXAMPLES / f"{topic}.jsonl").read_bytes().splitlines()
    return [Record(topic, 0, place, 0, b"key", (("schema", b"1"),), line) for place, line in enumerate(lines)]


def lacks(tables: Tables, rows: Any, *names: str) -> set[str]:
    """The tables, of `names`, that lack rows."""
    return set(
        Readback(tables, Schemas(tables))
        .look(rows, (), [name for name in names or rows.tables if name != RAW_RECORDS])
        .lacking
    )


def told(log: MemoryLog, topic: str, *records: Record) -> None:
    """Append records as they are."""
    appender = log.appender()
    for record in records:
        appender.append(topic, record.value, partition=0, headers=record.headers)


@pytest.mark.parametrize(
    "topic", [topic for topic in SINK_TOPICS if not topic.startswith("raw.") and (EXAMPLES / f"{topic}.jsonl").exists()]
)
def test_each_row_of_each_topic_is_lacking_until_it_is_there(tables: Tables, topic: str) -> None:
    """Keys and versions that a table computes are asked for as the table computes them."""
    for record in golden(topic):
        rows = built(record)
        names = [name for name in rows.tables if name != RAW_RECORDS]
        assert set(names) == lacks(tables, rows)
        for name in names:
            tables.insert_arrow(name, rows.tables[name], f"{topic}:{record.offset}:{name}")
        assert set() == lacks(tables, rows)


def test_each_place_is_answered_for_itself(tables: Tables) -> None:
    """All places of a round are asked for in one query: what lacks in one must not show in another."""
    rows = built(*(golden(topic)[0] for topic in (TRADES, BARS, "fact.tick", "books")))
    names = list(rows.tables)
    assert len(names) >= 5
    for place, name in enumerate(names):
        assert set(names[place:]) == lacks(tables, rows)
        tables.insert_arrow(name, rows.tables[name], f"itself:{name}")
    assert set() == lacks(tables, rows)


def test_rows_that_cannot_be_asked_for_lack_and_the_others_are_looked_for(tables: Tables) -> None:
    """A text where the store takes a time: the whole question is refused, so it is asked place by place."""
    rows = built(golden(TRADES)[0], golden(BARS)[0])
    for name in ("trades", "bars_1m"):
        tables.insert_arrow(name, rows.tables[name], name)
    bars = rows.tables["bars_1m"]
    times = pa.array(["once"] * len(bars), pa.string())
    rows.tables["bars_1m"] = bars.set_column(bars.column_names.index("minute"), "minute", times)
    assert {"bars_1m"} == lacks(tables, rows, "trades", "bars_1m")


def test_an_older_revision_does_not_stand_for_a_newer_one(tables: Tables, make: Any) -> None:
    """A newer one does stand for an older one: it is what a query shows."""
    of_rev = {rev: built(make.record(BARS, make.bar(rev=rev, volume_e4=rev * 10_000))) for rev in (1, 2, 3)}
    tables.insert_arrow("bars_1m", of_rev[2].tables["bars_1m"], "two")
    assert [set(), set(), {"bars_1m"}] == [lacks(tables, of_rev[rev], "bars_1m") for rev in (1, 2, 3)]


def test_a_later_telling_does_not_stand_for_an_earlier_one(tables: Tables, make: Any) -> None:
    """The first telling is what was known first; the table computes the order of tellings itself."""
    trade = make.trade()
    first = built(make.record(TRADES, trade))
    second = built(make.record(TRADES, msgspec.structs.replace(trade, known_ns=trade.known_ns + 1)))
    tables.insert_arrow("trades", second.tables["trades"], "second")
    assert {"trades"} == lacks(tables, first, "trades")
    tables.insert_arrow("trades", first.tables["trades"], "first")
    assert set() == lacks(tables, first, "trades") | lacks(tables, second, "trades")


def test_ticks_of_one_moment_are_told_apart_by_what_they_say(tables: Tables) -> None:
    """The hash of their content belongs to their key, and is not sent."""
    (record, *_) = golden("fact.tick")
    content = msgspec.json.decode(record.value)
    other = record._replace(value=msgspec.json.encode({**content, "volume_e4": content["volume_e4"] + 10_000}))
    one, two = built(record), built(other)
    tables.insert_arrow("market_ticks", one.tables["market_ticks"], "one")
    assert [set(), {"market_ticks"}] == [lacks(tables, each, "market_ticks") for each in (one, two)]


@pytest.mark.parametrize("fault", ["kill", "before"])
def test_a_revision_survives_a_writer_that_dies_before_its_insert(
    tables: Tables, log: MemoryLog, make: Any, fault: str
) -> None:
    """Its bar stands already, in an older revision: the one that takes over must not take that for the new one."""
    told(log, BARS, make.record(BARS, make.bar(rev=2, volume_e4=10_000)))
    with Running(writer(log, tables, topics=[BARS])) as running:
        running.drained()
    told(log, BARS, make.record(BARS, make.bar(rev=3, volume_e4=70_000)))
    if fault == "kill":
        killed_at("sink.before_insert", log, tables, topics=[BARS])
        store = tables
    else:
        store = FaultyTables(tables.url, ("bars_1m", "before"))
    with Running(writer(log, store, topics=[BARS])) as running:
        running.drained()
    assert [(3,)] == [tuple(row) for row in tables.query_rows("SELECT rev FROM tapefold.bars_1m FINAL").rows]
