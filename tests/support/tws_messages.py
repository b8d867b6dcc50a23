"""TWS messages for tests, field by field, and the headers that their recorder writes."""

import json
from typing import Any

from topics.catalog import RAW_TWS
from topics.codec import encode
from topics.events import Cause
from topics.tws import TwsRequest

START_S = 1_736_778_600  # 2025-01-13 14:30:00 UTC
NS = 1_000_000_000
LATER_NS = (START_S + 86_400) * NS
CAUSE = Cause(RAW_TWS, 0, 7)
REQUEST = TwsRequest(symbol="AAPL", what_to_show="TRADES", bar_size="1 min", use_rth=True, con_id=265598)


def wire(*fields: object) -> bytes:
    """The body of a message."""
    return b"".join(str(field).encode() + b"\0" for field in fields)


def headers(request: TwsRequest | None = REQUEST, *, received_ns: int = LATER_NS, **over: bytes) -> dict[str, bytes]:
    """What the recorder says of a message."""
    told = {"kind": b"frame", "conn": b"tws-1", "received_ns": b"%d" % received_ns, "clock": b"wall", "format": b"wire"}
    if request is not None:
        told["request"] = encode(request)
    return told | over


def bar(minute: int, close: object = "100.5", volume: object = "1000") -> tuple[object, ...]:
    """The eight fields of an answer's bar."""
    return (START_S + 60 * minute, "100.0", "101.0", "99.5", close, volume, "100.25", 42)


def answer(*bars: tuple[object, ...], req_id: int = 5) -> bytes:
    """Message 17."""
    fields = [field for one in bars for field in one]
    return wire(17, req_id, "20250113 14:30:00 UTC", "20250113 14:33:00 UTC", len(bars), *fields)


def update(minute: int, close: object = "100.5", req_id: int = 7) -> bytes:
    """Message 90: its fields stand in another order."""
    return wire(90, req_id, 42, START_S + 60 * minute, "100.0", close, "101.0", "99.5", "100.25", "1000")


def error(code: int, text: str, req_id: int = -1) -> bytes:
    """Message 4 as servers from 166 on write it."""
    return wire(4, 2, req_id, code, text, "")


def notice(**fields: Any) -> bytes:
    """A producer's notice."""
    return json.dumps(fields).encode()
