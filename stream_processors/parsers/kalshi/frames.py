"""The frames of the socket as types, and what of a frame no type names. Pure.

Frames are decoded strictly first, so that looking for unknown fields costs nothing where there are none.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from stream_processors.fields import (
    CentLevel,
    Count,
    Decimal,
    DollarLevel,
    Dollars,
    Level,
    Millis,
    Moment,
    Natural,
    Seconds,
    SignedCount,
    Ticker,
)
from stream_processors.parsers.kalshi.restated import Extra
from topics.events import Side


class _Msg(Struct, forbid_unknown_fields=True):
    market_ticker: Ticker


class TradeMsg(_Msg):
    """Of `trade`."""

    trade_id: Ticker
    yes_price_dollars: Decimal | None = None
    no_price_dollars: Decimal | None = None
    count_fp: Decimal | None = None
    yes_price: Count | None = None
    no_price: Count | None = None
    count: Count | None = None
    taker_side: Side | None = None
    taker_outcome_side: Side | None = None
    taker_book_side: Literal["bid", "ask"] | None = None
    is_block_trade: bool | None = None
    ts: Seconds | None = None
    ts_ms: Millis | None = None


class TickerMsg(_Msg):
    """Of `ticker`."""

    market_id: str | None = None
    price_dollars: Decimal | None = None
    yes_bid_dollars: Decimal | None = None
    yes_ask_dollars: Decimal | None = None
    volume_fp: Decimal | None = None
    open_interest_fp: Decimal | None = None
    yes_bid_size_fp: Decimal | None = None
    yes_ask_size_fp: Decimal | None = None
    last_trade_size_fp: Decimal | None = None
    price: Count | None = None
    yes_bid: Count | None = None
    yes_ask: Count | None = None
    volume: Count | None = None
    open_interest: Count | None = None
    dollar_volume: Dollars | None = None
    dollar_open_interest: Dollars | None = None
    ts: Seconds | None = None
    ts_ms: Millis | None = None
    time: Annotated[str, Meta(max_length=64)] | None = None


class SnapshotMsg(_Msg):
    """Of `orderbook_snapshot`: resting bids by side, in the forms of three eras."""

    market_id: str | None = None
    yes_dollars_fp: tuple[Level, ...] | None = None
    no_dollars_fp: tuple[Level, ...] | None = None
    yes_dollars: tuple[DollarLevel, ...] | None = None
    no_dollars: tuple[DollarLevel, ...] | None = None
    yes: tuple[CentLevel, ...] | None = None
    no: tuple[CentLevel, ...] | None = None


class DeltaMsg(_Msg):
    """Of `orderbook_delta`."""

    side: Side
    market_id: str | None = None
    price_dollars: Decimal | None = None
    delta_fp: Decimal | None = None
    price: Count | None = None
    delta: SignedCount | None = None
    ts: Annotated[str, Meta(max_length=64)] | None = None
    ts_ms: Millis | None = None


class TopMsg(_Msg):
    """Of `top_of_book`: a line of a recorder that kept no more; whole cents, 0 where nobody bids. zone: of the timestamp."""

    timestamp: Annotated[str, Meta(max_length=64)]
    best_yes_bid: Count
    best_no_bid: Count
    implied_no_ask: Count
    implied_yes_ask: Count
    zone: Annotated[str, Meta(max_length=64)] | None = None


class LifecycleMsg(Struct):
    """What all announcements share; the rest of them stays as sent."""

    event_type: str | None = None
    market_ticker: Ticker | None = None
    event_ticker: Ticker | None = None
    open_ts: Moment | None = None
    close_ts: Moment | None = None
    determination_ts: Moment | None = None
    settled_ts: Moment | None = None
    result: str | None = None
    settlement_value: Decimal | None = None


class _Frame(Struct, tag_field="type", forbid_unknown_fields=True):
    sid: Natural
    seq: Natural | None = None


class TradeFrame(_Frame, tag="trade", kw_only=True):
    """`trade`."""

    msg: TradeMsg


class TickerFrame(_Frame, tag="ticker", kw_only=True):
    """`ticker`."""

    msg: TickerMsg


class SnapshotFrame(_Frame, tag="orderbook_snapshot", kw_only=True):
    """`orderbook_snapshot`."""

    seq: Natural
    msg: SnapshotMsg


class DeltaFrame(_Frame, tag="orderbook_delta", kw_only=True):
    """`orderbook_delta`."""

    seq: Natural
    msg: DeltaMsg


class TopFrame(_Frame, tag="top_of_book", kw_only=True):
    """`top_of_book`: no frame of the exchange, but what a recording has of one; see `tapefold.payloads.kalshi_ws`."""

    msg: TopMsg


class LifecycleFrame(_Frame, tag="market_lifecycle_v2", kw_only=True):
    """`market_lifecycle_v2`."""

    msg: Raw


class EventFrame(_Frame, tag="event_lifecycle", kw_only=True):
    """`event_lifecycle`."""

    msg: Raw


class FeeFrame(_Frame, tag="event_fee_update", kw_only=True):
    """`event_fee_update`."""

    msg: Raw


class _Control(Struct, tag_field="type"):
    """Replies to our commands: bronze, but no fact. What they hold is the session's business."""


class _Subscribed(_Control, tag="subscribed"):
    pass


class _Unsubscribed(_Control, tag="unsubscribed"):
    pass


class _Ok(_Control, tag="ok"):
    pass


class _Error(_Control, tag="error"):
    pass


DataFrame = TradeFrame | TickerFrame | SnapshotFrame | DeltaFrame | TopFrame | LifecycleFrame | EventFrame | FeeFrame
Reply = _Subscribed | _Unsubscribed | _Ok | _Error
_decode = msgspec.json.Decoder(DataFrame | Reply).decode
decode_lifecycle = msgspec.json.Decoder(LifecycleMsg).decode

_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.encode
_NAMES: dict[str, frozenset[str]] = {
    str(kind.__struct_config__.tag): frozenset(msg.__struct_fields__)
    for kind, msg in (
        (TradeFrame, TradeMsg), (TickerFrame, TickerMsg), (SnapshotFrame, SnapshotMsg), (DeltaFrame, DeltaMsg),
        (TopFrame, TopMsg),
    )
}  # fmt: skip
_FRAME_NAMES = frozenset({"type", "sid", "seq", "msg"})


def read(value: bytes) -> tuple[DataFrame | Reply, Extra]:
    """The frame, and its fields that no type names. Raises msgspec's errors.

    The exchange's own frames of today take 0.6 us here; one with a new field takes 6 us (its parts are cut out and it is read
    again), 9 us with all that becomes of it. That is a day's price after a release, at 100,000 frames a second; a second
    family of types that forbids nothing would save 2 us of it and must be kept equal to the first by hand.
    """
    try:
        return _decode(value), {}
    except msgspec.ValidationError as error:
        if "unknown field" not in str(error):
            raise
    known, extra = _split(value)
    return _decode(known), extra


def _split(value: bytes) -> tuple[bytes, Extra]:
    """A frame without the fields that no type names, and those; a name that stands in both parts is the message's."""
    value.decode()  # what is kept as sent must reach the log as UTF-8
    frame = _fields(value)
    extra: Extra = {name: frame.pop(name) for name in [*frame] if name not in _FRAME_NAMES}
    names = _NAMES.get(msgspec.json.decode(frame["type"], type=str))
    if names is not None and "msg" in frame:
        msg = _fields(frame["msg"])
        extra |= {name: msg.pop(name) for name in [*msg] if name not in names}
        frame["msg"] = Raw(_encode(msg))
    return _encode(frame), extra
