"""`tapefold explain ROW_ID`: a row of the store, its inputs on the log, and whether they give the same row again."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct

from sinks import columns
from sinks.columns import Column
from sinks.rows import layout_of
from sinks.tables import Tables
from stream_processors.explain import Input, Tellings, explain
from topics.catalog import H_CLOCK, H_CONN, H_KIND, H_RECEIVED_NS, RAW_KALSHI_WS
from topics.codec import encode
from topics.errors import Refused
from topics.events import BeatNotice
from topics.log import Record, TopicPartition

# Tables whose rows have an id: what it begins with -> the table. A new kind of row adds a line here and a case in
# `stream_processors.explain`.
TABLES = {"bar:": "bars_1m", "book:": "books", "gap:": "gaps"}
_MARKETS_MAX = 8  # whose tellings are kept for the next row: rows are mostly explained market by market

_RECORDS = """
SELECT _topic, _partition, _offset, _key, mapKeys(_headers), mapValues(_headers), value
FROM tapefold_api.raw_records
WHERE _key = {ticker:String} OR (_topic, _partition, _offset) IN (
    SELECT cause_topic, cause_partition, cause_offset FROM tapefold.trades WHERE market_ticker = {ticker:String}
    UNION DISTINCT
    SELECT cause_topic, cause_partition, cause_offset FROM tapefold.market_events WHERE market_ticker = {ticker:String}
)
ORDER BY _topic, _partition, _offset
"""
_BEATS = """
SELECT source, conn, _partition, max(toUnixTimestamp64Nano(clock_at)), argMax(lease_ns, _offset), max(bye),
    max(_offset), max(toUnixTimestamp64Nano(known_at))
FROM tapefold.beat_log WHERE _topic = {topic:String} GROUP BY source, conn, _partition ORDER BY max(_offset)
"""


class Answer(Struct, frozen=True, kw_only=True):
    """An explained row.

    stored: its columns as the store has them, in units of the log. differs: those that the row made again has otherwise,
    as (stored, again).
    """

    row_id: str
    table: str
    stored: dict[str, Any]
    identical: bool
    differs: dict[str, tuple[Any, Any]]
    inputs: list[Input]
    not_chosen: list[Input]
    too_late: list[Input]


class Explainer:
    """Explains rows of one store. It keeps the tellings of the markets asked last."""

    def __init__(self, tables: Tables, partitions: int) -> None:
        self._tables = tables
        self._partitions = partitions
        self._tellings: dict[str, Tellings] = {}

    def explain(self, row_id: str) -> Answer:
        """Explain one row. Raises Refused when the store has no such row."""
        table = next((name for prefix, name in TABLES.items() if row_id.startswith(prefix)), None)
        if table is None:
            raise Refused(
                f"ROW_ID: expected one that begins with {', '.join(TABLES)}, was {row_id!r}; see column row_id"
            )
        stored = self._stored(table, row_id)
        explanation = explain(self._of(stored["market_ticker"]), row_id)
        again = (
            {name: attrgetter(field)(explanation.row) for name, field, _ in layout_of(table)} if explanation.row else {}
        )
        differs = {name: (value, again.get(name)) for name, value in stored.items() if value != again.get(name)}
        return Answer(
            row_id=row_id,
            table=table,
            stored=stored,
            identical=not differs,
            differs=differs,
            inputs=explanation.inputs,
            not_chosen=explanation.not_chosen,
            too_late=explanation.too_late,
        )

    def _stored(self, table: str, row_id: str) -> dict[str, Any]:
        layout = layout_of(table)
        chosen = ", ".join(_UNITS.get(make, "{}").format(name) for name, _, make in layout)
        answer = self._tables.query_rows(
            f"SELECT {chosen} FROM tapefold.{table} FINAL WHERE row_id = {{row_id:String}}",  # noqa: S608  # our names
            {"row_id": row_id},
        ).rows
        if not answer:
            raise Refused(f"{row_id}: no such row in {table}; see its column row_id")
        return dict(zip((name for name, _, _ in layout), answer[0], strict=True))

    def _of(self, market_ticker: str) -> Tellings:
        tellings = self._tellings.pop(market_ticker, None)
        if tellings is None:
            tellings = Tellings(market_ticker, self._partitions, self._records(market_ticker))
        self._tellings[market_ticker] = tellings
        if len(self._tellings) > _MARKETS_MAX:
            del self._tellings[next(iter(self._tellings))]
        return tellings

    def _records(self, market_ticker: str) -> Mapping[TopicPartition, list[Record]]:
        """The market's records from bronze, and the last beat of each connection on each partition."""
        records: dict[TopicPartition, list[Record]] = {}
        for topic, number, offset, key, names, values, value in self._tables.query_rows(
            _RECORDS, {"ticker": market_ticker}
        ).rows:
            headers = tuple((name, _bytes(text)) for name, text in zip(names, values, strict=True))
            record = Record(topic, number, offset, 0, None if key is None else _bytes(key), headers, _bytes(value))
            records.setdefault((topic, number), []).append(record)
        for source, conn, number, clock_ns, lease_ns, bye, offset, known_ns in self._tables.query_rows(
            _BEATS, {"topic": RAW_KALSHI_WS}
        ).rows:
            notice = BeatNotice(source=source, conn=conn, clock_ns=clock_ns, lease_ns=lease_ns, bye=bye)
            headers = (
                (H_KIND, b"beat"),
                (H_CONN, conn.encode()),
                (H_RECEIVED_NS, b"%d" % known_ns),
                (H_CLOCK, b"wall"),  # says nothing here: a beat is no fact
            )
            record = Record(RAW_KALSHI_WS, number, offset, 0, None, headers, encode(notice))
            records.setdefault((RAW_KALSHI_WS, number), []).append(record)
        return records


def partitions_of(tables: Tables) -> int:
    """How many partitions the raw topic has: a beat goes to each. Raises Refused when nothing is stored."""
    ((partitions,),) = tables.query_rows(
        "SELECT uniqExact(_partition) FROM tapefold.beat_log WHERE _topic = {topic:String}", {"topic": RAW_KALSHI_WS}
    ).rows
    if not partitions:
        raise Refused("no beat is stored, so nothing can be explained; run `tapefold demo` or `tapefold up` first")
    return int(partitions)


_UNITS: dict[Column, str] = {
    columns.price: "toInt64({} * 1000000)",
    columns.size: "toInt64({} * 10000)",
    columns.time_ns: "toUnixTimestamp64Nano({})",
}


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def as_json(answer: Answer) -> bytes:
    """The answer for a program: times in nanoseconds since the epoch, prices and sizes in the units of the log."""
    return msgspec.json.format(msgspec.json.encode(answer))


def as_text(answer: Answer, time_text: Callable[[int], str]) -> str:
    """The answer for a person."""
    lines = [f"{answer.row_id} ({answer.table})"]
    for title, inputs in (
        ("inputs", answer.inputs),
        ("known, not chosen", answer.not_chosen),
        ("came too late", answer.too_late),
    ):
        lines.append(f"{title}: {len(inputs)}")
        for each in inputs:
            end = "" if each.to_offset is None else f"..{each.to_offset}"
            lines.append(
                f"  {each.role} {each.name}: {each.topic}-{each.partition} offset {each.offset}{end}: {each.why}"
            )
            lines.append(
                f"    event {time_text(each.event_ns)}, received {time_text(each.received_ns)}, known"
                f" {time_text(each.known_ns)} ({each.known_by}), {each.lead_ns / 1e9:.3f} s before the row"
            )
    if answer.identical:
        lines.append("made again: identical")
    else:
        lines += [
            "made again: not identical",
            *(f"  {name}: {was!r}, again {now!r}" for name, (was, now) in answer.differs.items()),
        ]
    return "\n".join(lines)
