"""Records of the log -> Arrow tables, one per ClickHouse table. Pure: equal records give equal tables.

The columns are named as in `clickhouse/migrations/`. A record that its topic's decoder or its table's columns refuse
becomes a row of `dead` with stage `sink`: it is our own bug or foreign data on the topic, and nothing is dropped.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from sinks import columns
from sinks.batch import Tail, tail_of
from sinks.beats import beat_tables
from sinks.checksum import Hashes, row_hashes, total
from sinks.evolution import extra_of, unknown_fields
from sinks.layout_parts import Layout
from sinks.layouts import DEAD, LAYOUTS
from topics import catalog
from topics.annotations import Annotation
from topics.codec import (
    decode_asof_forecast,
    decode_bar,
    decode_book_top,
    decode_dead,
    decode_fact,
    decode_gap_row,
    decode_label,
    decode_tws_minute,
)
from topics.errors import Reason
from topics.events import Beat, Cause, Coverage, Market, Tick, Trade
from topics.kalshi_rest import BookPoll, Candle, Document, Event, MarketPoll, MarketTerms, Series, Settlement
from topics.log import Record, Stretch, TopicPartition, stretches_of
from topics.policies import Policy
from topics.rag import MarketPrediction, PredictionRun
from topics.tws import TwsBar, TwsError, TwsOutage, TwsUnit, is_finished_minute
from topics.weather import Climate, ClimateYear, Forecast, ForecastRun
from topics.webhook import Webhook

RAW_RECORDS = "raw_records"
VALUE_TEXT_BYTES_MAX = 4096
REFUSED_DETAIL_CHARS_MAX = 1_000
_BEAT = (catalog.H_KIND, b"beat")
CODE = 4  # of the rows made here and their hash; raise it with any change by which an equal record gives another one

Decode = Callable[[bytes], Any]


class Row(NamedTuple):
    """A decoded value, the record that brought it, and the JSON of its fields that we do not know, None without any."""

    event: Any
    record: Record
    unknown: bytes | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What `dead` keeps of a record that the sink refused; the same fields as topics.events.Dead."""

    reason: Reason
    detail: str
    code_version: str
    cause: Cause
    value_text: str
    stage: Literal["sink"] = "sink"
    received_ns: int | None = None


# Facts go to a table by their type; a type that is not here has its rows elsewhere (Gap: `gaps`, book facts: `books`).
_FACT_TABLES: dict[type, str] = {
    Trade: "trades",
    Tick: "market_ticks",
    Market: "market_events",
    Coverage: "coverage",
    MarketTerms: "market_terms",
    MarketPoll: "market_polls",
    Settlement: "settlements",
    Event: "events",
    Series: "series",
    Candle: "candles",
    BookPoll: "book_polls",
    Document: "documents",
    Forecast: "forecasts",
    ForecastRun: "forecast_runs",
    Climate: "climate",
    ClimateYear: "climate_years",
    TwsBar: "raw_tws_bars",
    TwsUnit: "tws_units",
    TwsOutage: "tws_outages",
    TwsError: "tws_errors",
    Webhook: "webhook_events",
    PredictionRun: "prediction_runs",
    MarketPrediction: "market_predictions",
    Policy: "asof_policies",
    Annotation: "annotations",
}
# Beats stand on every topic of their source that watermarks are taken from: these show each of them once.
_BEAT_TOPICS = frozenset({catalog.FACT_TRADE, catalog.FACT_FORECAST, catalog.FACT_CLIMATE})
_ROW_TOPICS: dict[str, tuple[Decode, tuple[str, ...]]] = {
    catalog.BARS_1M: (decode_bar, ("bars_1m", "bars_1m_journal")),
    catalog.BARS_TWS: (decode_tws_minute, ("curated_tws_1m_bars",)),
    catalog.BOOKS: (decode_book_top, ("books",)),
    catalog.LABELS: (decode_label, ("settlement_labels",)),
    catalog.ASOF_FORECAST: (decode_asof_forecast, ("mos_asof", "mos_asof_journal")),
    catalog.GAPS: (decode_gap_row, ("gaps",)),
    catalog.DEAD: (decode_dead, (DEAD,)),
}
FOLDED_TABLES = frozenset(  # made of facts alone, by the fold
    table for topic, (_, tables) in _ROW_TOPICS.items() if catalog.BY_NAME[topic].group == "derived" for table in tables
)
_REFUSED = (ValueError, OverflowError, TypeError, msgspec.MsgspecError)  # of a column's maker; pyarrow's are among them
_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError)  # TypeError: a null value


class Built(NamedTuple):
    """What one or more stretches become.

    tables: table -> its rows; those without rows are left out, bronze comes first. hashes: of the bronze rows, in their
    order; spans: where in it each partition's rows begin and end. checksums, tails: of each stretch. unknown_fields:
    records with fields that we do not know.
    """

    tables: dict[str, pa.Table]
    hashes: Hashes
    spans: dict[TopicPartition, tuple[int, int]]
    checksums: dict[TopicPartition, int]
    tails: dict[TopicPartition, Tail]
    unknown_fields: int = 0


def build(records: Sequence[Record], *, topic_ids: Mapping[str, str], code_version: str) -> dict[str, pa.Table]:
    """The tables of records that come one by one; see build_stretches."""
    return build_stretches(stretches_of(records), topic_ids=topic_ids, code_version=code_version).tables


def build_stretches(stretches: Sequence[Stretch], *, topic_ids: Mapping[str, str], code_version: str) -> Built:
    """The rows of `stretches`, at most one of each partition.

    topic_ids: the log's own id of each topic, where it is known. code_version: stamped on rows of `dead`.
    """
    bronze: list[pa.Table] = []
    bronze_hashes: list[Hashes] = [np.empty(0, np.uint64)]
    spans: dict[TopicPartition, tuple[int, int]] = {}
    bronze_rows = 0
    beats: list[Record] = []
    checksums: dict[TopicPartition, int] = {}
    tails: dict[TopicPartition, Tail] = {}
    rows: dict[str, list[Row]] = {}
    refused: list[Row] = []
    unknown = 0
    for part in stretches:
        headers = columns.headers(part.headers)
        hashes = row_hashes(part.offsets, part.timestamps_ms, part.keys, headers, part.values)
        partition = (part.topic, part.partition)
        checksums[partition] = total(hashes)
        tails[partition] = tail_of(part.timestamps_ms[-1], part.keys[-1], part.values[-1])
        if catalog.BY_NAME[part.topic].group == "raw":
            bronze.append(bronze_table(part, headers, topic_ids))
            bronze_hashes.append(hashes)
            spans[partition] = (bronze_rows, bronze_rows + len(hashes))
            bronze_rows += len(hashes)
            beats += [part.record(place) for place, pairs in enumerate(part.headers) if _BEAT in pairs]
        else:
            unknown += _interpret(part, rows, refused, code_version)
    tables = {RAW_RECORDS: _joined(bronze), **beat_tables(beats)} if bronze else {}
    for table, table_rows in rows.items():
        if table != DEAD and (arrow := _table(table, table_rows, refused, code_version)) is not None:
            tables[table] = arrow
    told = [_table(DEAD, rows[DEAD], refused, code_version)] if DEAD in rows else []
    own = [_arrow(DEAD, list(dict.fromkeys(refused)))] if refused else []  # a bar is refused for both its tables
    if dead := [part for part in told + own if part is not None]:
        tables[DEAD] = _joined(dead)
    return Built(tables, np.concatenate(bronze_hashes), spans, checksums, tails, unknown)


def with_refused(
    built: Built, table: str, numbers: Sequence[int], told: Sequence[tuple[Record, str]], code_version: str
) -> Built:
    """The rows without those of `table` under these numbers, which the store refused; `dead` has theirs instead.

    told: the record of each, and why.
    """
    rows = built.tables[table]
    kept = rows.filter(pa.array(~np.isin(np.arange(len(rows)), numbers)))
    own = _arrow(DEAD, [_refusal(record, "bad_value", detail, code_version) for record, detail in told])
    dead = _joined([built.tables[DEAD], own]) if DEAD in built.tables else own
    others = {name: each for name, each in built.tables.items() if name not in {table, DEAD}}
    return built._replace(tables={**others, **({table: kept} if len(kept) else {}), DEAD: dead})


def bronze_table(part: Stretch, headers: pa.MapArray, topic_ids: Mapping[str, str]) -> pa.Table:
    """Rows of `raw_records`: the records themselves, byte for byte. `_topic_id` is empty where it is not known."""
    count = len(part.offsets)
    return pa.table(
        {
            "_topic": columns.one_label(part.topic, count),
            "_topic_id": columns.one_label(topic_ids.get(part.topic, ""), count),
            "_partition": columns.uint32([part.partition] * count),
            "_offset": columns.uint64(part.offsets),
            "_timestamp": columns.time_ms_clipped(part.timestamps_ms),
            "_key": columns.raw(part.keys),
            "_headers": headers,
            "value": columns.raw(part.values),
        }
    )


def _joined(parts: list[pa.Table]) -> pa.Table:
    return parts[0] if len(parts) == 1 else pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def _interpret(part: Stretch, rows: dict[str, list[Row]], refused: list[Row], code_version: str) -> int:
    """Add what the records of a fact or of a derived row say; returns how many of them have fields that we do not know."""
    fact = catalog.BY_NAME[part.topic].group == "fact"
    decode, tables = (decode_fact, ()) if fact else _ROW_TOPICS[part.topic]
    decoded = _decode(list(part.records()), decode, refused, code_version)
    count = 0
    for place, row in enumerate(decoded):
        if (unknown := unknown_fields(row.event, row.record.value)) is not None:
            decoded[place] = row._replace(unknown=unknown)
            count += 1
        for table in _fact_tables(row) if fact else ():
            rows.setdefault(table, []).append(decoded[place])
    for table in tables if decoded else ():
        rows.setdefault(table, []).extend(decoded)
    return count


def _fact_tables(row: Row) -> tuple[str, ...]:
    """The tables of a fact, none when its rows are made elsewhere."""
    fact = row.event
    if type(fact) is Beat:
        return ("beats",) if row.record.topic in _BEAT_TOPICS else ()
    if type(fact) is TwsBar and is_finished_minute(fact):
        return ("raw_tws_bars", "tws_tellings")
    table = _FACT_TABLES.get(type(fact))
    return () if table is None else (table,)


def _decode(records: list[Record], decode: Decode, refused: list[Row], code_version: str) -> list[Row]:
    """Decode all at once; only when that fails, one by one, so that the good ones pass."""
    try:
        return [Row(decode(record[6]), record) for record in records]
    except _UNDECODABLE:
        pass
    rows: list[Row] = []
    for record in records:
        try:
            rows.append(Row(decode(record.value), record))
        except msgspec.ValidationError as error:
            refused.append(_refusal(record, "bad_value", str(error), code_version))
        except _UNDECODABLE as error:
            refused.append(_refusal(record, "not_json", f"{type(error).__name__}: {error}", code_version))
    return rows


def _table(table: str, rows: list[Row], refused: list[Row], code_version: str) -> pa.Table | None:
    try:
        return _arrow(table, rows)
    except _REFUSED:
        fitting = _fitting(table, rows, refused, code_version)
        return _arrow(table, fitting) if fitting else None


def _fitting(table: str, rows: list[Row], refused: list[Row], code_version: str) -> list[Row]:
    """The rows that fit into the table's columns; the others go to `refused`."""
    fitting: list[Row] = []
    for row in rows:
        try:
            _arrow(table, [row])
            fitting.append(row)
        except _REFUSED as error:
            refused.append(_refusal(row.record, "bad_value", str(error), code_version))
    return fitting


def layout_of(table: str) -> Layout:
    """The layout of a table that is filled from structs; a journal has the columns of its table."""
    return LAYOUTS[table.removesuffix("_journal")]


def _arrow(table: str, rows: Sequence[Row]) -> pa.Table:
    events = [row[0] for row in rows]
    records = [row[1] for row in rows]
    made = {name: make(list(map(attrgetter(field), events))) for name, field, make in layout_of(table)}
    # Rare; without it a table whose layout has no `extra` fills in the empty one.
    if any(row[2] for row in rows):
        made["extra"] = columns.raw([extra_of(event, row[2]) for event, row in zip(events, rows, strict=True)])
    made["_topic"] = columns.labels([record[0] for record in records])
    made["_partition"] = columns.uint32([record[1] for record in records])
    made["_offset"] = columns.uint64([record[2] for record in records])
    return pa.table(made)


def _refusal(record: Record, reason: Reason, detail: str, code_version: str) -> Row:
    value = (record.value or b"")[:VALUE_TEXT_BYTES_MAX]
    refusal = Refusal(
        reason=reason,
        detail=detail.encode("utf-8", "backslashreplace").decode(),
        code_version=code_version,
        cause=Cause(record.topic, record.partition, record.offset),
        value_text=value.decode("utf-8", "backslashreplace"),
    )
    return Row(refusal, record)
