"""The first stage: raw records in, facts out. Stateless, so after a crash it may tell a fact again with the same cause.

Order matters in one place only: a beat says that all before it has been told. So of each batch the last beat of each
connection is passed on behind the batch's facts, to every partition of the fact topics that watermarks are taken from.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from stream_processors.outputs import Output, dead
from stream_processors.parsers.kalshi import Envelope, parse
from topics.catalog import (
    FACT_BOOK,
    FACT_GAP,
    FACT_MARKET,
    FACT_TICK,
    FACT_TRADE,
    H_CLOCK,
    H_CONN,
    H_KIND,
    H_RECEIVED_NS,
    H_SID_NS,
)
from topics.codec import decode_beat_notice, decode_coverage_notice, decode_gap_notice, encode
from topics.domains import domain_of
from topics.errors import BadRecord
from topics.events import Beat, BookDelta, BookSnapshot, Cause, Coverage, Gap, KnownBy, Market, Tick, Trade

T = TypeVar("T")

_STAMP_DIGITS_MAX = 20  # nanoseconds since the epoch have 19 digits until the year 2286
WATERMARK_TOPICS: tuple[str, ...] = (FACT_TRADE, FACT_BOOK)
_TOPIC_BY_FACT: dict[type, str] = {
    Trade: FACT_TRADE,
    Tick: FACT_TICK,
    BookDelta: FACT_BOOK,
    BookSnapshot: FACT_BOOK,
    Market: FACT_MARKET,
}
# A recording's tape clock is a stated rule (the time the recording has reached), not a stamp of a live recorder.
_KNOWN_BY_CLOCK: dict[bytes, KnownBy] = {b"wall": "observed", b"tape": "assumed"}


class RawRecord(Protocol):
    """What ingest needs of a consumed record; aiokafka's ConsumerRecord and `topics.log.Record` both fit."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


def ingest(topic: str, partition: int, partitions: int, records: Sequence[RawRecord]) -> list[Output]:
    """All outputs of one batch of one raw partition; `partitions`: how many every fact topic has."""
    outputs: list[Output] = []
    beats: dict[str, Beat] = {}
    for record in records:
        headers = dict(record.headers)
        cause = Cause(topic, partition, record.offset)
        try:
            kind = headers.get(H_KIND)
            if kind == b"frame":
                output = _frame(record, headers, cause)
                if output is not None:
                    outputs.append(output)
            elif kind == b"beat":
                _keep_beat(beats, partition, record.value or b"")
            elif kind == b"gap":
                outputs.append(_gap(record, headers, cause))
            elif kind == b"coverage":
                outputs.append(_coverage(record, headers, cause))
            else:
                outputs.append(_refused(record, headers, cause, _unknown_kind(kind)))
        except BadRecord as error:
            outputs.append(_refused(record, headers, cause, error))
    outputs += [
        Output(fact_topic, None, number, value)
        for value in [encode(beat) for beat in beats.values()]
        for fact_topic in WATERMARK_TOPICS
        for number in range(partitions)
    ]
    return outputs


def _unknown_kind(kind: bytes | None) -> BadRecord:
    return BadRecord("unknown_type", f"header {H_KIND!r}: expected frame, beat, gap or coverage, was {kind!r}")


def _frame(record: RawRecord, headers: dict[str, bytes], cause: Cause) -> Output | None:
    fact = parse(record.value or b"", _envelope(headers), cause)
    if fact is None:
        return None
    return Output(_TOPIC_BY_FACT[type(fact)], domain_of(fact.market_ticker).encode(), None, encode(fact))


def _envelope(headers: dict[str, bytes]) -> Envelope:
    try:
        sid_ns = headers.get(H_SID_NS)
        return Envelope(
            headers[H_CONN].decode("ascii"),
            int(headers[H_RECEIVED_NS]),
            _KNOWN_BY_CLOCK[headers[H_CLOCK]],
            None if sid_ns is None else int(sid_ns),
        )
    except (KeyError, ValueError) as error:
        raise BadRecord(
            "missing_header",
            f"expected {H_CONN}, {H_RECEIVED_NS} (integer) and {H_CLOCK} (wall or tape), were {headers!r}",
        ) from error


def _keep_beat(beats: dict[str, Beat], partition: int, value: bytes) -> None:
    notice = _notice(decode_beat_notice, value)
    before = beats.get(notice.conn)
    beats[notice.conn] = Beat(
        source=notice.source,
        conn=notice.conn,
        raw_partition=partition,
        clock_ns=notice.clock_ns if before is None else max(before.clock_ns, notice.clock_ns),
        lease_ns=notice.lease_ns,
        bye=notice.bye or (before is not None and before.bye),
    )


def _gap(record: RawRecord, headers: dict[str, bytes], cause: Cause) -> Output:
    notice = _notice(decode_gap_notice, record.value or b"")
    fact = Gap(
        market_ticker=notice.market_ticker,
        event_ns=notice.clock_ns,
        received_ns=notice.clock_ns,
        known_ns=notice.clock_ns,
        known_by=_envelope(headers).known_by,
        cause=cause,
        conn=notice.conn,
        sid=notice.sid,
        seq=None if notice.from_seq is None else notice.from_seq - 1,
        source=notice.source,
        channel=notice.channel,
        kind=notice.kind,
        from_seq=notice.from_seq,
        to_seq=notice.to_seq,
    )
    # A book's gap must stand in order with its book; the others have no order to keep.
    topic = FACT_BOOK if notice.channel == "orderbook_delta" else FACT_GAP
    return Output(topic, domain_of(notice.market_ticker).encode(), None, encode(fact))


def _coverage(record: RawRecord, headers: dict[str, bytes], cause: Cause) -> Output:
    notice = _notice(decode_coverage_notice, record.value or b"")
    clock_ns = notice.started_ns if notice.ended_ns is None else notice.ended_ns
    fact = Coverage(
        market_ticker=notice.market_ticker,
        event_ns=clock_ns,
        received_ns=clock_ns,
        known_ns=clock_ns,
        known_by=_envelope(headers).known_by,
        cause=cause,
        conn=notice.conn,
        sid=notice.sid,
        source=notice.source,
        channel=notice.channel,
        started_ns=notice.started_ns,
        ended_ns=notice.ended_ns,
        ended_by=notice.ended_by,
    )
    return Output(FACT_GAP, domain_of(notice.market_ticker).encode(), None, encode(fact))


def _notice(decode: Callable[[bytes], T], value: bytes) -> T:
    try:
        return decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord("bad_value", f"expected a producer's notice: {error}") from error


def _refused(record: RawRecord, headers: dict[str, bytes], cause: Cause, error: BadRecord) -> Output:
    stamp = headers.get(H_RECEIVED_NS, b"")
    return dead(
        "ingest",
        error.reason,
        error.detail,
        cause,
        key=record.key,
        received_ns=int(stamp) if stamp.isdigit() and len(stamp) < _STAMP_DIGITS_MAX else None,
        value=record.value or b"",
    )
