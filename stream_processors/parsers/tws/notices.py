"""What the producer says of its own work: how a fetch ended, and when the line was down."""

import msgspec

from stream_processors.envelope import Headers, Origin, envelope_of
from topics.codec import decode_tws_outage_notice, decode_tws_unit_notice
from topics.errors import BadRecord
from topics.events import Cause
from topics.tws import TwsOutage, TwsUnit

KINDS = frozenset({b"unit", b"outage"})


def parse(kind: bytes, value: bytes, headers: Headers, cause: Cause) -> TwsUnit | TwsOutage:
    """The notice as a fact. Raises BadRecord."""
    try:
        return _unit(value, headers, cause) if kind == b"unit" else _outage(value, headers, cause)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord("bad_value", f"expected a producer's notice: {error}") from error


def _unit(value: bytes, headers: Headers, cause: Cause) -> TwsUnit:
    notice = decode_tws_unit_notice(value)
    request = notice.request
    return TwsUnit(
        event_ns=notice.from_ns,
        **_origin(notice.clock_ns, headers, cause),
        symbol=request.symbol,
        con_id=request.con_id,
        what_to_show=request.what_to_show,
        bar_size=request.bar_size,
        use_rth=request.use_rth,
        date=notice.date,
        to_ns=notice.to_ns,
        status=notice.status,
        reason=notice.reason,
        code=notice.code,
        text=notice.text,
        bars=notice.bars,
        attempts=notice.attempts,
    )


def _outage(value: bytes, headers: Headers, cause: Cause) -> TwsOutage:
    notice = decode_tws_outage_notice(value)
    return TwsOutage(
        event_ns=notice.started_ns,
        **_origin(notice.clock_ns, headers, cause),
        outage_id=notice.outage_id,
        reason=notice.reason,
        ended_ns=notice.ended_ns,
        code=notice.code,
        text=notice.text,
        data_lost=notice.data_lost,
        symbols=notice.symbols,
    )


def _origin(clock_ns: int, headers: Headers, cause: Cause) -> Origin:
    envelope = envelope_of(headers)
    return Origin(received_ns=clock_ns, known_ns=clock_ns, known_by=envelope.known_by, cause=cause, conn=envelope.conn)
