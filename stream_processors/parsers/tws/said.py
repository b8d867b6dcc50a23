"""What stands around a TWS payload, and how a bar becomes a fact: the same for a message and for a line of a file."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec
from msgspec import Raw

from stream_processors.envelope import Headers, envelope_of, stamp_ns
from stream_processors.parsers.tws import values
from topics.catalog import H_CLOCK, H_FORMAT, H_REQ_ID, H_REQUEST
from topics.codec import decode_tws_request
from topics.errors import BadRecord
from topics.events import Cause, KnownBy
from topics.tws import BAR_SIZES_NS, AnyTwsFact, TwsBar, TwsRequest
from topics.units import NS_PER_S

SETTLE_NS = 5 * NS_PER_S  # TWS completes a bar some seconds after its end


class Bad(NamedTuple):
    """One bar of a payload that is refused while the others stand."""

    cause: Cause
    error: BadRecord


Part = AnyTwsFact | Bad
ToldBy = Literal["answer", "update", "realtime", "file"]


class Context(NamedTuple):
    """received_ns, known_by: of the record. stamped: whether a live recorder received it, by the wall or by a tape."""

    conn: str
    received_ns: int
    known_by: KnownBy
    stamped: bool
    request: TwsRequest | None
    req_id: int | None
    cause: Cause

    def at(self, index: int) -> Cause:
        """The cause of the payload's part `index`."""
        return Cause(self.cause.topic, self.cause.partition, self.cause.offset, index)

    def asked(self) -> TwsRequest:
        """The request. Raises BadRecord: a bar whose symbol nobody says is nobody's bar."""
        if self.request is None:
            raise BadRecord("missing_header", f"expected header {H_REQUEST}: what was asked for, and of which symbol")
        return self.request


def context_of(headers: Headers, cause: Cause) -> Context:
    """What the headers say. Raises BadRecord `missing_header`."""
    envelope = envelope_of(headers)
    request = None
    if (text := headers.get(H_REQUEST)) is not None:
        try:
            request = decode_tws_request(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRecord("missing_header", f"header {H_REQUEST}: expected a request: {error}") from error
    req_id = headers.get(H_REQ_ID)
    if req_id is not None and stamp_ns(req_id) is None:
        raise BadRecord("missing_header", f"header {H_REQ_ID}: expected digits, was {req_id!r}")
    return Context(
        envelope.conn,
        envelope.received_ns,
        envelope.known_by,
        # A message on a simulator's tape has a stamp of that tape; a line of a file is told on the tape of its own times.
        envelope.known_by == "observed" or (headers.get(H_CLOCK), headers.get(H_FORMAT)) == (b"tape", b"wire"),
        request,
        None if req_id is None else stamp_ns(req_id),
        cause,
    )


def bar_of(
    context: Context,
    request: TwsRequest,
    fields: Mapping[str, str],
    cause: Cause,
    *,
    told_by: ToldBy,
    last: bool,
    growing: bool,
    terms: bytes = b"{}",
) -> TwsBar:
    """The fact of one bar. Raises BadRecord.

    fields: `date`, `open`, `high`, `low`, `close`, `volume`, `average`, `count` as text, absent ones are None.
    last: no later bar stands behind it. growing: its request goes on, so that its last bar is never whole.
    """
    size_ns = BAR_SIZES_NS.get(request.bar_size)
    if size_ns is None:
        raise BadRecord("bad_value", f"bar_size: expected one below a day, was {request.bar_size!r}")
    start_ns = values.start_ns(fields.get("date", ""), request.zone)
    end_ns = start_ns + size_ns
    finished = not last or not (growing or (context.stamped and context.received_ns < end_ns + SETTLE_NS))
    if context.stamped:
        known_ns = max(end_ns, context.received_ns) if finished else context.received_ns
        received_ns = context.received_ns
    else:
        received_ns = known_ns = end_ns
    volume_e4 = values.size_e4(fields.get("volume", ""), "volume")
    return TwsBar(
        event_ns=start_ns,
        received_ns=received_ns,
        known_ns=known_ns,
        known_by=context.known_by,
        cause=cause,
        conn=context.conn,
        symbol=request.symbol,
        con_id=request.con_id,
        what_to_show=request.what_to_show,
        bar_size=request.bar_size,
        use_rth=request.use_rth,
        end_ns=end_ns,
        open_e6=_price(fields, "open"),
        high_e6=_price(fields, "high"),
        low_e6=_price(fields, "low"),
        close_e6=_price(fields, "close"),
        volume_e4=volume_e4,
        average_e6=None if volume_e4 is None else values.average_e6(fields.get("average", ""), "average"),
        count=values.count(fields.get("count", ""), "count"),
        finished=finished,
        told_by=told_by,
        terms=Raw(terms),
    )


def _price(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name, "")
    if not text:
        raise BadRecord("missing_field", f"{name}: expected a price, was nothing")
    return values.price_e6(text, name)
