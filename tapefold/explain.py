"""`tapefold explain ROW_ID`: a row of the store, its inputs on the log, and whether they give the same row again."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct, structs

from sinks import columns
from sinks.columns import Column
from sinks.rows import layout_of
from sinks.tables import Tables
from stream_processors import explain_weather
from stream_processors.explain import Input, Tellings, explain
from stream_processors.explain_weather import StationTellings
from tapefold.explain_weather import tellings_of
from tapefold.records import raw_records
from topics.asof import ClimateValue
from topics.catalog import RAW_KALSHI_WS
from topics.errors import Refused
from topics.events import Cause

# Tables whose rows have an id: what it begins with -> the table. A new kind of row adds a line here and a case in
# `stream_processors.explain` or `explain_weather`.
TABLES = {
    "bar:": "bars_1m",
    "book:": "books",
    "gap:": "gaps",
    "asof:": "mos_asof",
    "label:": "settlement_labels",
}
_KEPT_MAX = 8  # tellings kept for the next row: rows are mostly explained market by market, and day by day

_MARKET = """
SELECT _topic, _partition, _offset FROM tapefold_api.raw_records WHERE _key = {ticker:String}
UNION DISTINCT
SELECT cause_topic, cause_partition, cause_offset FROM tapefold.trades WHERE market_ticker = {ticker:String}
UNION DISTINCT
SELECT cause_topic, cause_partition, cause_offset FROM tapefold.market_events WHERE market_ticker = {ticker:String}
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
    """Explains rows of one store. It keeps the tellings of the markets, and of the stations' days, asked last."""

    def __init__(self, tables: Tables, partitions: int) -> None:
        self._tables = tables
        self._partitions = partitions
        self._kept: dict[tuple[str, ...], Tellings | StationTellings] = {}

    def explain(self, row_id: str) -> Answer:
        """Explain one row. Raises Refused when the store has no such row."""
        table = next((name for prefix, name in TABLES.items() if row_id.startswith(prefix)), None)
        if table is None:
            raise Refused(
                f"ROW_ID: expected one that begins with {', '.join(TABLES)}, was {row_id!r}; see column row_id"
            )
        stored = self._stored(table, row_id)
        tellings = self._of(table, stored)
        explanation = (
            explain(tellings, row_id) if isinstance(tellings, Tellings) else explain_weather.explain(tellings, row_id)
        )
        again = (
            {name: _plain(attrgetter(field)(explanation.row)) for name, field, _ in layout_of(table)}
            if explanation.row
            else {}
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

    def _of(self, table: str, row: dict[str, Any]) -> Tellings | StationTellings:
        ticker = row.get("market_ticker")
        key = (table, row["station"], row["target_date_local"]) if ticker is None else (ticker,)
        tellings = self._kept.pop(key, None)
        if tellings is None:
            tellings = self._told(table, row, ticker)
        self._kept[key] = tellings
        if len(self._kept) > _KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        return tellings

    def _told(self, table: str, row: dict[str, Any], ticker: str | None) -> Tellings | StationTellings:
        if ticker is None:
            return tellings_of(self._tables, table, row, self._partitions)
        records = raw_records(self._tables, _MARKET, {"ticker": ticker}, beats_of=RAW_KALSHI_WS)
        return Tellings(ticker, self._partitions, records)


def partitions_of(tables: Tables) -> int:
    """How many partitions the raw topic has: a beat goes to each. Raises Refused when nothing is stored."""
    ((partitions,),) = tables.query_rows(
        "SELECT max(width) FROM (SELECT uniqExact(_partition) AS width FROM tapefold.beat_log GROUP BY _topic)"
    ).rows
    if not partitions:
        raise Refused("no beat is stored, so nothing can be explained; run `tapefold demo` or `tapefold up` first")
    return int(partitions)


_UNITS: dict[Column, str] = {
    columns.price: "toInt64({} * 1000000)",
    columns.size: "toInt64({} * 10000)",
    columns.time_ns: "toUnixTimestamp64Nano({})",
    columns.day: "toString({})",
    columns.places: "arrayMap(p -> (p.1, p.2, p.3, p.4), {})",
    columns.reports: "arrayMap(r -> (toUnixTimestamp64Nano(r.1), toUnixTimestamp64Nano(r.2), r.3, r.4, r.5, r.6, r.7, r.8, r.9,"
    " r.10), {})",
}


def _plain(value: Any) -> Any:
    """A value as the store answers: sequences as lists, structs as flat tuples."""
    match value:
        case tuple():
            return [_plain(each) for each in value]
        case Cause():
            return structs.astuple(value)
        case ClimateValue():
            *fields, cause = structs.astuple(value)
            return (*fields, *structs.astuple(cause))
    return value


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
