"""Kalshi WebSocket frames -> facts.

Source: Kalshi AsyncAPI "Market Data WebSocket API" 2.0.0 (read 2026-11) and its change log: decimal strings
(`_dollars`, `_fp`) since 2026-03-12, integer cents and contracts before. Where a frame has both, the strings win; the
other is kept beside them where it says something else. No field of a frame is dropped: those that no type here names
stand in `extra`, as sent. Frames are decoded strictly first, so that this costs nothing where there are none.
"""

import msgspec
from msgspec import Raw

from stream_processors import local_time
from stream_processors.envelope import Envelope
from stream_processors.fields import levels, optional_size, price, refusal, rfc3339_ns, size
from stream_processors.parsers.kalshi.frames import (
    DeltaFrame,
    EventFrame,
    FeeFrame,
    LifecycleFrame,
    SnapshotFrame,
    TickerFrame,
    TopFrame,
    TradeFrame,
    decode_lifecycle,
    read,
)
from stream_processors.parsers.kalshi.restated import (
    NOTHING,
    Extra,
    beyond_ns_of,
    cents_of,
    others,
    same_second,
    whole_of,
)
from topics.errors import BadRecord
from topics.events import BookDelta, BookSnapshot, Cause, Market, Tick, Trade
from topics.kalshi_rest import MarketPoll
from topics.units import E6_PER_CENT, NS_PER_MS, NS_PER_S

_CENTS_MAX = 100
KalshiFact = Trade | Tick | BookSnapshot | BookDelta | Market | MarketPoll


def parse(value: bytes, envelope: Envelope, cause: Cause) -> KalshiFact | None:  # noqa: PLR0911  # one for each type
    """The fact that a frame states; None for replies to our own commands. Raises BadRecord."""
    try:
        frame, extra = read(value)
        match frame:
            case DeltaFrame():
                return _delta(frame, envelope, cause, extra)
            case TradeFrame():
                return _trade(frame, envelope, cause, extra)
            case TickerFrame():
                return _tick(frame, envelope, cause, extra)
            case TopFrame():
                return _top(frame, envelope, cause, extra)
            case SnapshotFrame():
                return _snapshot(frame, envelope, cause, extra)
            case LifecycleFrame() | EventFrame() | FeeFrame():
                return _market(frame, envelope, cause, extra)
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


def _trade(frame: TradeFrame, envelope: Envelope, cause: Cause, extra: Extra) -> Trade:
    msg = frame.msg
    yes_e6 = price(msg.yes_price_dollars, msg.yes_price, "yes_price")
    no_e6 = price(msg.no_price_dollars, msg.no_price, "no_price")
    size_e4 = size(msg.count_fp, msg.count, "count")
    side = msg.taker_outcome_side or msg.taker_side
    if msg.taker_side is not None and msg.taker_side != side:
        extra["taker_side"] = msg.taker_side
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
        yes_price_e6=yes_e6,
        no_price_e6=no_e6,
        size_e4=size_e4,
        taker_outcome_side=side,
        taker_book_side=msg.taker_book_side,
        is_block_trade=msg.is_block_trade,
        extra=others(
            extra,
            ts=(msg.ts, msg.ts if msg.ts_ms is None else msg.ts_ms // 1_000),
            yes_price=(msg.yes_price, cents_of(yes_e6)),
            no_price=(msg.no_price, cents_of(no_e6)),
            count=(msg.count, whole_of(size_e4)),
        ),
    )


def _tick(frame: TickerFrame, envelope: Envelope, cause: Cause, extra: Extra) -> Tick:
    msg = frame.msg
    event_ns = _event_ns(msg.ts_ms, msg.ts)
    price_e6 = price(msg.price_dollars, msg.price, "price")
    bid_e6 = price(msg.yes_bid_dollars, msg.yes_bid, "yes_bid")
    ask_e6 = price(msg.yes_ask_dollars, msg.yes_ask, "yes_ask")
    volume_e4 = size(msg.volume_fp, msg.volume, "volume")
    interest_e4 = size(msg.open_interest_fp, msg.open_interest, "open_interest")
    if msg.time is not None and not same_second(msg.time, event_ns):
        extra["time"] = msg.time
    return Tick(
        market_ticker=msg.market_ticker,
        event_ns=event_ns,
        received_ns=envelope.received_ns,
        known_ns=envelope.received_ns,
        known_by=envelope.known_by,
        cause=cause,
        conn=envelope.conn,
        sid=frame.sid,
        seq=frame.seq,
        price_e6=price_e6,
        yes_bid_e6=bid_e6,
        yes_ask_e6=ask_e6,
        volume_e4=volume_e4,
        open_interest_e4=interest_e4,
        yes_bid_size_e4=optional_size(msg.yes_bid_size_fp),
        yes_ask_size_e4=optional_size(msg.yes_ask_size_fp),
        last_trade_size_e4=optional_size(msg.last_trade_size_fp),
        dollar_volume=msg.dollar_volume,
        dollar_open_interest=msg.dollar_open_interest,
        market_id=msg.market_id,
        extra=others(
            extra,
            ts=(msg.ts, event_ns // NS_PER_S),
            price=(msg.price, cents_of(price_e6)),
            yes_bid=(msg.yes_bid, cents_of(bid_e6)),
            yes_ask=(msg.yes_ask, cents_of(ask_e6)),
            volume=(msg.volume, whole_of(volume_e4)),
            open_interest=(msg.open_interest, whole_of(interest_e4)),
        ),
    )


def _top(frame: TopFrame, envelope: Envelope, cause: Cause, extra: Extra) -> MarketPoll:
    """Quotes alone: what was traded, at which price and how much is not there, and nothing stands for it."""
    msg = frame.msg
    for name, bid, ask in (
        ("implied_no_ask", msg.best_yes_bid, msg.implied_no_ask),
        ("implied_yes_ask", msg.best_no_bid, msg.implied_yes_ask),
    ):
        if bid + ask != _CENTS_MAX:
            extra[name] = ask
    return MarketPoll(
        market_ticker=msg.market_ticker,
        event_ns=local_time.local_ns(msg.timestamp, msg.zone),
        received_ns=envelope.received_ns,
        known_ns=envelope.received_ns,
        known_by=envelope.known_by,
        cause=cause,
        conn=envelope.conn,
        yes_bid_e6=_bidden(msg.best_yes_bid, msg.best_yes_bid),
        yes_ask_e6=_bidden(msg.best_no_bid, msg.implied_yes_ask),
        no_bid_e6=_bidden(msg.best_no_bid, msg.best_no_bid),
        no_ask_e6=_bidden(msg.best_yes_bid, msg.implied_no_ask),
        extra=others(extra),
    )


def _bidden(bid: int, cents: int) -> int | None:
    """A price that a bid is or implies; none where nobody bids."""
    return cents * E6_PER_CENT if bid else None


def _delta(frame: DeltaFrame, envelope: Envelope, cause: Cause, extra: Extra) -> BookDelta:
    msg = frame.msg
    ts_ms = msg.ts_ms
    beyond_ns: int | None = 0
    if ts_ms is not None:
        event_ns = ts_ms * NS_PER_MS
        if msg.ts is not None and (beyond_ns := beyond_ns_of(msg.ts, ts_ms)) is None:
            extra["ts"] = msg.ts
    elif msg.ts is not None:
        event_ns = rfc3339_ns(msg.ts)
    else:
        event_ns = envelope.received_ns
    price_e6 = price(msg.price_dollars, msg.price, "price")
    delta_e4 = size(msg.delta_fp, msg.delta, "delta", signed=True)
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
        price_e6=price_e6,
        delta_e4=delta_e4,
        market_id=msg.market_id,
        beyond_ns=beyond_ns or 0,
        extra=NOTHING
        if msg.price is None and msg.delta is None and not extra
        else others(extra, price=(msg.price, cents_of(price_e6)), delta=(msg.delta, whole_of(delta_e4))),
    )


def _snapshot(frame: SnapshotFrame, envelope: Envelope, cause: Cause, extra: Extra) -> BookSnapshot:
    msg = frame.msg
    yes, no = levels(msg.yes_dollars_fp, msg.yes_dollars, msg.yes), levels(msg.no_dollars_fp, msg.no_dollars, msg.no)
    for side, told in (("yes", yes), ("no", no)):
        for name in (f"{side}_dollars", side):
            older = getattr(msg, name)
            if older is not None and told != levels(None, *((older, None) if name != side else (None, older))):
                extra[name] = older
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
        yes=yes,
        no=no,
        market_id=msg.market_id or None,  # an empty book comes with an empty id
        extra=others(extra),
    )


def _market(frame: LifecycleFrame | EventFrame | FeeFrame, envelope: Envelope, cause: Cause, extra: Extra) -> Market:
    terms = bytes(frame.msg)
    terms.decode()  # what the decoder skips it does not check; text that is no UTF-8 must not reach the log as JSON
    msg = decode_lifecycle(terms)
    ticker = msg.market_ticker or msg.event_ticker
    kind = msg.event_type if isinstance(frame, LifecycleFrame) else type(frame).__struct_config__.tag
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
        extra=others(extra),
    )
