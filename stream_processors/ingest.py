"""The first stage: raw records in, facts out. Stateless, so after a crash it may tell a fact again with the same cause.

Order matters in one place only: a beat says that all before it has been told. So of each batch the last beat of each
connection is passed on behind the batch's facts, to every partition of the fact topics that watermarks are taken from.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from stream_processors.envelope import Headers, RawRecord, envelope_of, stamp_ns
from stream_processors.outputs import Output, dead
from stream_processors.registry import OWN_KINDS, PARSERS, Told, Unfit
from topics.catalog import (
    FACT_BOOK,
    FACT_CLIMATE,
    FACT_FORECAST,
    FACT_GAP,
    FACT_MARKET,
    FACT_TRADE,
    H_KIND,
    H_RECEIVED_NS,
    RAW_IEM_CLI,
    RAW_IEM_MOS,
    RAW_KALSHI_WS,
)
from topics.codec import decode_beat_notice, decode_coverage_notice, decode_gap_notice, encode
from topics.domains import domain_of
from topics.errors import BadRecord
from topics.events import Beat, Cause, Coverage, Gap

T = TypeVar("T", bound=msgspec.Struct)

_INT64_MAX = 2**63 - 1  # what the store's columns hold; nanoseconds since the epoch reach it in the year 2262
_FACT_BYTES_MAX = 15 * 1024 * 1024  # the log takes 16 MiB with key and headers; numbers may grow when they are typed
_NOTICE_BYTES_MAX = 64 * 1024  # a notice names one connection and one market: some 300 bytes
_DETAIL_MAX = 1024  # characters of a refusal's reason: a frame may quote megabytes at us
# What a value that no parser thought of does to arithmetic, to recursion and to text: the record's fault, not the stage's,
# which would stop at it at each start. All other errors are ours, and stop it.
_OUT_OF_BOUNDS = (OverflowError, RecursionError, UnicodeError)
WATERMARK_TOPICS: tuple[str, ...] = (FACT_TRADE, FACT_BOOK, FACT_MARKET)
# Who waits for the weather waits on its own topics: a silent IEM must not hold the minutes of the markets. The beats of
# a source that no fold waits for go nowhere.
BEATS_TO: dict[str, tuple[str, ...]] = {
    RAW_KALSHI_WS: WATERMARK_TOPICS,
    RAW_IEM_MOS: (FACT_FORECAST,),
    RAW_IEM_CLI: (FACT_CLIMATE,),
}


def ingest(topic: str, partition: int, partitions: int, records: Sequence[RawRecord]) -> list[Output]:
    """All outputs of one batch of one raw partition; `partitions`: how many every fact topic has."""
    outputs: list[Output] = []
    beats: dict[str, Beat] = {}
    for record in records:
        headers = {name: text or b"" for name, text in record.headers}  # a foreign writer's header may be null
        cause = Cause(topic, partition, record.offset)
        try:
            kind = headers.get(H_KIND)
            if kind == b"frame" or kind in OWN_KINDS.get(topic, ()):
                outputs.extend(
                    _refused(record, headers, *said) if isinstance(said, Unfit) else _told(said)
                    for said in PARSERS[topic](record, headers, cause)
                )
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
        except _OUT_OF_BOUNDS as error:
            refusal = BadRecord("bad_value", f"expected values within bounds: {type(error).__name__}: {error}")
            outputs.append(_refused(record, headers, cause, refusal))
    outputs += [
        Output(fact_topic, None, number, value)
        for value in [encode(beat) for beat in beats.values()]
        for fact_topic in BEATS_TO.get(topic, ())
        for number in range(partitions)
    ]
    return outputs


def _unknown_kind(kind: bytes | None) -> BadRecord:
    return BadRecord("unknown_type", f"header {H_KIND!r}: expected frame, beat, gap or coverage, was {kind!r}")


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


def _told(said: Told) -> Output:
    value = encode(said.fact)
    if len(value) > _FACT_BYTES_MAX:
        raise BadRecord("too_large", f"expected a fact of at most {_FACT_BYTES_MAX} bytes, was {len(value)}")
    return Output(said.topic, said.domain.encode(), None, value)


def _gap(record: RawRecord, headers: Headers, cause: Cause) -> Output:
    notice = _notice(decode_gap_notice, record.value or b"")
    fact = Gap(
        market_ticker=notice.market_ticker,
        event_ns=notice.clock_ns,
        received_ns=notice.clock_ns,
        known_ns=notice.clock_ns,
        known_by=envelope_of(headers).known_by,
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


def _coverage(record: RawRecord, headers: Headers, cause: Cause) -> Output:
    notice = _notice(decode_coverage_notice, record.value or b"")
    envelope = envelope_of(headers)
    clock_ns = notice.started_ns if notice.ended_ns is None else notice.ended_ns
    told_ns = max(clock_ns, envelope.received_ns)  # that it ended may have come to light later
    fact = Coverage(
        market_ticker=notice.market_ticker,
        event_ns=clock_ns,
        received_ns=told_ns,
        known_ns=told_ns,
        known_by=envelope.known_by,
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
    if len(value) > _NOTICE_BYTES_MAX:
        raise BadRecord("too_large", f"expected a notice of at most {_NOTICE_BYTES_MAX} bytes, was {len(value)}")
    try:
        notice = decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord("bad_value", f"expected a producer's notice: {error}") from error
    for name in notice.__struct_fields__:
        number = getattr(notice, name)
        if isinstance(number, int) and not 0 <= number <= _INT64_MAX:
            raise BadRecord("bad_value", f"notice field {name!r}: expected a number in [0, 2^63), was {number}")
    return notice


def _refused(record: RawRecord, headers: Headers, cause: Cause, error: BadRecord) -> Output:
    return dead(
        "ingest",
        error.reason,
        error.detail[:_DETAIL_MAX],
        cause,
        key=record.key,
        received_ns=stamp_ns(headers.get(H_RECEIVED_NS, b"")),
        value=record.value or b"",
    )
