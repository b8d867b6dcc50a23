"""Raw records as the store keeps them, back in the shape in which they stood on the log."""

from collections.abc import Mapping

from sinks.tables import Tables
from topics.catalog import H_CLOCK, H_CONN, H_KIND, H_RECEIVED_NS, RAW_KALSHI_WS
from topics.codec import encode
from topics.events import BeatNotice
from topics.log import Record, TopicPartition

_RECORDS = """
SELECT _topic, _partition, _offset, _key, mapKeys(_headers), mapValues(_headers), value
FROM tapefold_api.raw_records
WHERE (_topic, _partition, _offset) IN (PLACES)
ORDER BY _topic, _partition, _offset
"""
_BEATS = """
SELECT source, conn, _partition, max(toUnixTimestamp64Nano(clock_at)), argMax(lease_ns, _offset), max(bye),
    max(_offset), max(toUnixTimestamp64Nano(known_at))
FROM tapefold.beat_log WHERE _topic = {topic:String} GROUP BY source, conn, _partition ORDER BY max(_offset)
"""

_MARKET = """
SELECT _topic, _partition, _offset FROM tapefold_api.raw_records WHERE _key = {ticker:String}
UNION DISTINCT
SELECT cause_topic, cause_partition, cause_offset FROM tapefold.trades WHERE market_ticker = {ticker:String}
UNION DISTINCT
SELECT cause_topic, cause_partition, cause_offset FROM tapefold.market_events WHERE market_ticker = {ticker:String}
UNION DISTINCT
SELECT cause_topic, cause_partition, cause_offset FROM tapefold.market_terms WHERE market_ticker = {ticker:String}
"""


def raw_records(
    tables: Tables, places: str, parameters: Mapping[str, str], *, beats_of: str
) -> dict[TopicPartition, list[Record]]:
    """Records by raw partition, and behind them the last beat of each connection of one topic on each partition.

    places: a query whose rows are (topic, partition, offset).
    """
    records: dict[TopicPartition, list[Record]] = {}
    for topic, number, offset, key, names, values, value in tables.query_rows(
        _RECORDS.replace("PLACES", places), parameters
    ).rows:
        headers = tuple((name, _bytes(text)) for name, text in zip(names, values, strict=True))
        record = Record(topic, number, offset, 0, None if key is None else _bytes(key), headers, _bytes(value))
        records.setdefault((topic, number), []).append(record)
    for source, conn, number, clock_ns, lease_ns, bye, offset, known_ns in tables.query_rows(
        _BEATS, {"topic": beats_of}
    ).rows:
        notice = BeatNotice(source=source, conn=conn, clock_ns=clock_ns, lease_ns=lease_ns, bye=bye)
        headers = (
            (H_KIND, b"beat"),
            (H_CONN, conn.encode()),
            (H_RECEIVED_NS, b"%d" % known_ns),
            (H_CLOCK, b"wall"),  # says nothing here: a beat is no fact
        )
        record = Record(beats_of, number, offset, 0, None, headers, encode(notice))
        records.setdefault((beats_of, number), []).append(record)
    return records


def market_records(tables: Tables, market_ticker: str) -> dict[TopicPartition, list[Record]]:
    """All raw records that speak of one market, and the last beats of the socket's connections."""
    return raw_records(tables, _MARKET, {"ticker": market_ticker}, beats_of=RAW_KALSHI_WS)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
