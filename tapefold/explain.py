"""`tapefold explain ROW_ID`: a row of the store, its inputs on the log, and whether they give the same row again."""

import math
import re
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct, structs

from sinks import columns
from sinks.columns import Column
from sinks.rows import layout_of
from sinks.tables import Tables
from stream_processors.explain import Explanation, Input, Tellings, explain
from tapefold import explain_features
from tapefold.explain_weather import of_station
from tapefold.records import market_records
from topics.asof import ClimateValue
from topics.errors import Refused
from topics.events import Cause
from topics.units import NS_PER_DAY

# Tables whose rows have an id: what it begins with -> the table. A new kind of row adds a line here and a case in
# `Explainer._of`.
TABLES = {
    "bar:": "bars_1m",
    "book:": "books",
    "gap:": "gaps",
    "asof:": "mos_asof",
    "label:": "settlement_labels",
    "price:": "features_price_1m_v1",
    "weather:": "features_weather",
}
_MINUTE_ID = re.compile(r"[0-9a-f]{32}")  # a minute of TWS: its identity has no word in front
_KEPT_MAX = 8  # tellings kept for the next row: rows are mostly explained market by market, and day by day


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


Explain = Callable[[str], Explanation]


class Explainer:
    """Explains rows of one store. It keeps what it read for the rows asked last."""

    def __init__(self, tables: Tables, partitions: int) -> None:
        self._tables = tables
        self._partitions = partitions
        self._kept: dict[tuple[str, ...], Explain] = {}

    def explain(self, row_id: str) -> Answer:
        """Explain one row. Raises Refused when the store has no such row."""
        table, stored = self._row(row_id)
        explanation = self._of(table, stored)(row_id)
        again = _columns(table, explanation.row)
        differs = {
            name: (value, again.get(name)) for name, value in stored.items() if not _same(value, again.get(name))
        }
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

    def of(self, row_id: str) -> Explain:
        """What explains this row: the facts that it is made of, and how. Raises Refused when the store has no such row."""
        return self._of(*self._row(row_id))

    def _row(self, row_id: str) -> tuple[str, dict[str, Any]]:
        """The row's table, and the row as the store has it. Raises Refused when it has none."""
        table = table_of(row_id)
        if table in explain_features.TABLES:
            return table, explain_features.stored(self._tables, table, row_id)
        return table, self._stored(table, row_id)

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

    def _of(self, table: str, row: dict[str, Any]) -> Explain:
        """What explains the row, and the others that lean on the same records."""
        match table:
            case "curated_tws_1m_bars":
                key: tuple[str, ...] = (table, row["row_id"])
                load: Callable[[], Explain] = partial(explain_features.of_minute, self._tables, row)
            case "features_price_1m_v1":
                key = (table, row["symbol"], str(row["minute"] // NS_PER_DAY))
                load = partial(explain_features.of_symbol, self._tables, row, self._partitions)
            case "features_weather":
                key = (table, row["market_ticker"])
                load = partial(explain_features.of_market, self._tables, row, self._partitions)
            case "mos_asof" | "settlement_labels":
                key = (table, row["station"], row["target_date_local"])
                load = partial(of_station, self._tables, table, row, self._partitions)
            case _:
                key = (row["market_ticker"],)
                load = partial(of_market, self._tables, row["market_ticker"], self._partitions)
        explain = self._kept.pop(key, None)
        if explain is None:
            explain = load()
        self._kept[key] = explain
        if len(self._kept) > _KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        return explain


def table_of(row_id: str) -> str:
    """The table that the row stands in. Raises Refused when no table has such rows."""
    if _MINUTE_ID.fullmatch(row_id):
        return "curated_tws_1m_bars"
    table = next((name for prefix, name in TABLES.items() if row_id.startswith(prefix)), None)
    if table is None:
        begins = ", ".join(TABLES)
        raise Refused(
            f"ROW_ID: expected one that begins with {begins}, or 32 hexadecimal digits, was {row_id!r}; see column row_id"
        )
    return table


def of_market(tables: Tables, market_ticker: str, partitions: int) -> Explain:
    """What explains bars, books and gaps of a market."""
    return partial(explain, Tellings(market_ticker, partitions, market_records(tables, market_ticker)))


def _columns(table: str, row: Any) -> dict[str, Any]:
    """A row made again, by column."""
    if row is None or isinstance(row, dict):
        return row or {}
    return {name: _plain(attrgetter(field)(row)) for name, field, _ in layout_of(table)}


def _same(stored: Any, again: Any) -> bool:
    """Equal; of floats nine digits, for the store adds them up in another order."""
    if isinstance(stored, float) and isinstance(again, float):
        return math.isclose(stored, again, rel_tol=1e-9, abs_tol=1e-9)
    return bool(stored == again)


def partitions_of(tables: Tables) -> int:
    """How many partitions the raw topics have: a beat goes to each. Without any beat no row depends on how many there are."""
    ((partitions,),) = tables.query_rows(
        "SELECT max(width) FROM (SELECT uniqExact(_partition) AS width FROM tapefold.beat_log GROUP BY _topic)"
    ).rows
    return int(partitions) or 1


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
