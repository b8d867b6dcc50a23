"""What the session reads of a frame: the envelope and a few fields of `msg`. Pure, and never raises.

AsyncAPI "Market Data WebSocket API" 2.0.0, schemas of the server frames (read 2026-11). Prices and sizes are skipped:
the frame goes to the log as received, and the parsers read the rest there.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from topics.units import NS_PER_MS, NS_PER_S

_INT64_MAX = 2**63 - 1
_MS_MAX = 4_102_444_800_000  # the year 2100: a clock that never goes back must not believe a broken far future
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Number = Annotated[int, Meta(ge=0, le=_INT64_MAX)]
T = TypeVar("T")


class Message(Struct, gc=False):
    """The part of `msg` that the session needs. None: absent, or not of the type that the contract gives it."""

    market_ticker: str | None = None
    ts_ms: int | None = None
    ts: int | float | str | None = None
    channel: str | None = None
    sid: Number | None = None
    code: int | None = None
    msg: str | None = None
    market_tickers: list[str] | None = None
    event_type: str | None = None
    event_ticker: str | None = None
    series_ticker: str | None = None


class Envelope(Struct, gc=False):
    """`type` is empty when the frame has none or is no JSON object."""

    type: str = ""
    id: Number | None = None
    sid: Number | None = None
    seq: Number | None = None
    msg: Message | None = None

    def exchange_ns(self) -> int | None:
        """The exchange time of the frame: `ts_ms`, else `ts` (seconds, or RFC 3339 text on deltas); None without."""
        msg = self.msg
        if msg is None:
            return None
        if (ts_ms := msg.ts_ms) is not None:
            return ts_ms * NS_PER_MS if 0 < ts_ms < _MS_MAX else None
        return None if msg.ts is None else _ts_ns(msg.ts)


class _Loose(Struct, gc=False):
    type: Raw = Raw()
    id: Raw = Raw()
    sid: Raw = Raw()
    seq: Raw = Raw()
    msg: Raw = Raw()


_strict = msgspec.json.Decoder(Envelope).decode
_loose = msgspec.json.Decoder(_Loose).decode
_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def read(frame: bytes) -> Envelope:
    """The envelope of a frame; an unexpected shape keeps whatever of it is as agreed, so that `seq` still counts."""
    try:
        return _strict(frame)
    except (ValueError, RecursionError):
        return _salvage(frame)


def _salvage(frame: bytes) -> Envelope:
    try:
        loose = _loose(frame)
    except (ValueError, RecursionError):
        return Envelope()
    return Envelope(
        type=_pick(loose.type, str) or "",
        id=_pick(loose.id, Number),
        sid=_pick(loose.sid, Number),
        seq=_pick(loose.seq, Number),
        msg=_salvage_message(loose.msg),
    )


def _salvage_message(raw: Raw) -> Message | None:
    try:
        fields = _fields(raw)
    except (ValueError, RecursionError):
        return None
    message = Message()
    for info in msgspec.structs.fields(Message):
        if info.name in fields:
            setattr(message, info.name, _pick(fields[info.name], info.type))
    return message


def _pick(raw: Raw, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, RecursionError):
        return None


def _ts_ns(ts: float | str) -> int | None:
    if isinstance(ts, str):
        try:
            instant = datetime.fromisoformat(ts)
        except ValueError:
            return None
        if instant.tzinfo is None:
            return None
        exchange_ns = (instant - _EPOCH) // _MICROSECOND * 1000
    else:
        exchange_ns = int(ts) * NS_PER_S  # fractions of a second were never sent; floats only survive hand-made frames
    return exchange_ns if 0 < exchange_ns < _MS_MAX * NS_PER_MS else None
