"""Kalshi WebSocket frames -> facts.

Source: Kalshi AsyncAPI "Market Data WebSocket API" 2.0.0 (read 2026-11) and its change log: decimal strings
(`_dollars`, `_fp`) since 2026-03-12, integer cents and contracts before. Where a frame has both, the strings win.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from stream_processors.envelope import Envelope
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
    levels,
    optional_size,
    price,
    refusal,
    rfc3339_ns,
    size,
)
from topics.errors import BadRecord
from topics.events import BookDelta, BookSnapshot, Cause, Market, Side, Tick, Trade
from topics.units import NS_PER_MS, NS_PER_S


class _Msg(Struct):
    market_ticker: Ticker


class _TradeMsg(_Msg):
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


class _TickerMsg(_Msg):
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


class _SnapshotMsg(_Msg):
    market_id: str | None = None
    yes_dollars_fp: tuple[Level, ...] | None = None
    no_dollars_fp: tuple[Level, ...] | None = None
    yes_dollars: tuple[DollarLevel, ...] | None = None
    no_dollars: tuple[DollarLevel, ...] | None = None
    yes: tuple[CentLevel, ...] | None = None
    no: tuple[CentLevel, ...] | None = None


class _DeltaMsg(_Msg):
    side: Side
    market_id: str | None = None
    price_dollars: Decimal | None = None
    delta_fp: Decimal | None = None
    price: Count | None = None
    delta: SignedCount | None = None
    ts: Annotated[str, Meta(max_length=64)] | None = None
    ts_ms: Millis | None = None


class _LifecycleMsg(Struct):
    event_type: str | None = None
    market_ticker: Ticker | None = None
    event_ticker: Ticker | None = None
    open_ts: Moment | None = None
    close_ts: Moment | None = None
    determination_ts: Moment | None = None
    settled_ts: Moment | None = None
    result: str | None = None
    settlement_value: Decimal | None = None


class _Frame(Struct, tag_field="type"):
    sid: Natural
    seq: Natural | None = None


class _TradeFrame(_Frame, tag="trade", kw_only=True):
    msg: _TradeMsg


class _TickerFrame(_Frame, tag="ticker", kw_only=True):
    msg: _TickerMsg


class _SnapshotFrame(_Frame, tag="orderbook_snapshot", kw_only=True):
    seq: Natural
    msg: _SnapshotMsg


class _DeltaFrame(_Frame, tag="orderbook_delta", kw_only=True):
    seq: Natural
    msg: _DeltaMsg


class _LifecycleFrame(_Frame, tag="market_lifecycle_v2", kw_only=True):
    msg: Raw


class _EventFrame(_Frame, tag="event_lifecycle", kw_only=True):
    msg: Raw


class _FeeFrame(_Frame, tag="event_fee_update", kw_only=True):
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


_DataFrame = _TradeFrame | _TickerFrame | _SnapshotFrame | _DeltaFrame | _LifecycleFrame | _EventFrame | _FeeFrame
_Reply = _Subscribed | _Unsubscribed | _Ok | _Error
_decode = msgspec.json.Decoder(_DataFrame | _Reply).decode
_decode_lifecycle = msgspec.json.Decoder(_LifecycleMsg).decode

KalshiFact = Trade | Tick | BookSnapshot | BookDelta | Market


def parse(value: bytes, envelope: Envelope, cause: Cause) -> KalshiFact | None:
    """The fact that a frame states; None for replies to our own commands. Raises BadRecord."""
    try:
        frame = _decode(value)
        match frame:
            case _DeltaFrame():
                return _delta(frame, envelope, cause)
            case _TradeFrame():
                return _trade(frame, envelope, cause)
            case _TickerFrame():
                return _tick(frame, envelope, cause)
            case _SnapshotFrame():
                return _snapshot(frame, envelope, cause)
            case _LifecycleFrame() | _EventFrame() | _FeeFrame():
                return _market(frame, envelope, cause)
            case _:
                return None
    except msgspec.ValidationError as error:
        raise refusal(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord("not_json", f"expected one Kalshi frame as JSON: {error}") from error
    except ValueError as error:
        raise BadRecord("bad_value", str(error)) from error


def _event_ns(ts_ms: int | None, ts: int | None) -> int:
    if ts_ms is not None:
        return ts_ms * NS_PER_MS
    if ts is not None:
        return ts * NS_PER_S
    raise BadRecord("missing_field", "expected `ts_ms` or `ts`, was neither")


def _trade(frame: _TradeFrame, envelope: Envelope, cause: Cause) -> Trade:
    msg = frame.msg
    return Trade(
        market_ticker=msg.market_ticker,
        event_ns=_event_ns(msg.ts_ms, msg.ts),
        received_ns=envelope.received_ns,
        known_ns=envelope.received_ns,
        known_by=envelope.known_by,
        cause=cause,
        conn=envelope.conn,
        sid=frame.sid,
        seq=frame.seq,
        trade_id=msg.trade_id,
        yes_price_e6=price(msg.yes_price_dollars, msg.yes_price, "yes_price"),
        no_price_e6=price(msg.no_price_dollars, msg.no_price, "no_price"),
        size_e4=size(msg.count_fp, msg.count, "count"),
        taker_outcome_side=msg.taker_outcome_side or msg.taker_side,
        taker_book_side=msg.taker_book_side,
        is_block_trade=msg.is_block_trade,
    )


def _tick(frame: _TickerFrame, envelope: Envelope, cause: Cause) -> Tick:
    msg = frame.msg
    return Tick(
        market_ticker=msg.market_ticker,
        event_ns=_event_ns(msg.ts_ms, msg.ts),
        received_ns=envelope.received_ns,
        known_ns=envelope.received_ns,
        known_by=envelope.known_by,
        cause=cause,
        conn=envelope.conn,
        sid=frame.sid,
        seq=frame.seq,
        price_e6=price(msg.price_dollars, msg.price, "price"),
        yes_bid_e6=price(msg.yes_bid_dollars, msg.yes_bid, "yes_bid"),
        yes_ask_e6=price(msg.yes_ask_dollars, msg.yes_ask, "yes_ask"),
        volume_e4=size(msg.volume_fp, msg.volume, "volume"),
        open_interest_e4=size(msg.open_interest_fp, msg.open_interest, "open_interest"),
        yes_bid_size_e4=optional_size(msg.yes_bid_size_fp),
        yes_ask_size_e4=optional_size(msg.yes_ask_size_fp),
        last_trade_size_e4=optional_size(msg.last_trade_size_fp),
        dollar_volume=msg.dollar_volume,
        dollar_open_interest=msg.dollar_open_interest,
        market_id=msg.market_id,
    )


def _delta(frame: _DeltaFrame, envelope: Envelope, cause: Cause) -> BookDelta:
    msg = frame.msg
    ts_ms = msg.ts_ms
    if ts_ms is not None:
        event_ns = ts_ms * NS_PER_MS
    elif msg.ts is not None:
        event_ns = rfc3339_ns(msg.ts)
    else:
        event_ns = envelope.received_ns
    return BookDelta(
        market_ticker=msg.market_ticker,
        event_ns=event_ns,
        event_by="received" if ts_ms is None and msg.ts is None else "exchange",
        received_ns=envelope.received_ns,
        known_ns=envelope.received_ns,
        known_by=envelope.known_by,
        cause=cause,
        conn=envelope.conn,
        sid=frame.sid,
        seq=frame.seq,
        side=msg.side,
        price_e6=price(msg.price_dollars, msg.price, "price"),
        delta_e4=size(msg.delta_fp, msg.delta, "delta", signed=True),
        market_id=msg.market_id,
    )


def _snapshot(frame: _SnapshotFrame, envelope: Envelope, cause: Cause) -> BookSnapshot:
    msg = frame.msg
    return BookSnapshot(
        market_ticker=msg.market_ticker,
        event_ns=envelope.received_ns if envelope.sid_ns is None else envelope.sid_ns,
        event_by="received" if envelope.sid_ns is None else "sid",
        received_ns=envelope.received_ns,
        known_ns=envelope.received_ns,
        known_by=envelope.known_by,
        cause=cause,
        conn=envelope.conn,
        sid=frame.sid,
        seq=frame.seq,
        yes=levels(msg.yes_dollars_fp, msg.yes_dollars, msg.yes),
        no=levels(msg.no_dollars_fp, msg.no_dollars, msg.no),
        market_id=msg.market_id or None,  # an empty book comes with an empty id
    )


def _market(frame: _LifecycleFrame | _EventFrame | _FeeFrame, envelope: Envelope, cause: Cause) -> Market:
    terms = bytes(frame.msg)
    terms.decode()  # what the decoder skips it does not check; text that is no UTF-8 must not reach the log as JSON
    msg = _decode_lifecycle(terms)
    ticker = msg.market_ticker or msg.event_ticker
    kind = msg.event_type if isinstance(frame, _LifecycleFrame) else type(frame).__struct_config__.tag
    if ticker is None or kind is None:
        raise BadRecord("missing_field", "expected `market_ticker` (or `event_ticker`) and `event_type`")
    return Market(
        market_ticker=ticker,
        event_ns=envelope.received_ns,  # the frame has no time of its own, only times that it speaks of
        received_ns=envelope.received_ns,
        known_ns=envelope.received_ns,
        known_by=envelope.known_by,
        cause=cause,
        conn=envelope.conn,
        sid=frame.sid,
        seq=frame.seq,
        event_type=str(kind),
        open_ts=msg.open_ts,
        close_ts=msg.close_ts,
        determination_ts=msg.determination_ts,
        settled_ts=msg.settled_ts,
        result=msg.result,
        settlement_value_e6=None if msg.settlement_value is None else price(msg.settlement_value, None, ""),
        terms=Raw(terms),
    )
