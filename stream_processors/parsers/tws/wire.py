"""The body of one TWS message -> facts.

Layouts for servers 164 to 178, as ib_async 2.1 negotiates them (its `decoder.py`, read 2026-11). Message 17 gives a bar
as date, open, high, low, close, volume, average, count; message 90 as count, date, open, close, high, low, average, volume.
"""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from stream_processors.parsers.tws import values
from stream_processors.parsers.tws.said import Bad, Context, Part, bar_of
from topics import tws_codes
from topics.errors import BadRecord
from topics.events import Cause
from topics.tws import TwsBar, TwsError

ERROR = 4
BARS = 17
REALTIME = 50
UPDATE = 90

_ANSWER_NAMES = ("date", "open", "high", "low", "close", "volume", "average", "count")
_UPDATE_NAMES = ("count", "date", "open", "close", "high", "low", "average", "volume")
_REALTIME_NAMES = ("date", "open", "high", "low", "close", "volume", "average", "count")
_REALTIME_SIZE = "5 secs"  # the only one there is
_NO_REQUEST = -1
# All messages that ib_async knows; those that state no bar and no error are kept as they came, and read by nobody yet.
_KNOWN = frozenset({*range(1, 22), *range(45, 60), *range(61, 108)})


def parse(value: bytes, context: Context, previous: bytes | None) -> list[Part]:
    """The facts of a message; `previous`: the update before this one. Raises BadRecord to refuse it as a whole."""
    fields = _fields(value)
    number = values.whole(fields[0], "message")
    if number == UPDATE:
        return _update(fields, context, previous)
    if (read := _READERS.get(number)) is not None:
        return read(fields, context)
    if number not in _KNOWN:
        raise BadRecord("unknown_type", f"expected a message of TWS, was {number}")
    return []


def _fields(value: bytes) -> list[str]:
    if not value.endswith(b"\0"):
        raise BadRecord("bad_value", f"expected fields ended by NUL, was {value[-20:]!r} at the end")
    return value.decode("utf-8", "backslashreplace").split("\0")[:-1]


def _answer(fields: Sequence[str], context: Context) -> list[Part]:
    request = context.asked()
    _expect(len(fields) >= 5, "17, request, start, end, count", fields)  # noqa: PLR2004  # as listed
    bars = values.whole(fields[4], "count")
    rest = fields[5:]
    width = len(_ANSWER_NAMES)
    _expect(len(rest) == bars * width, f"{bars} bars of {width} fields", fields)
    parts: list[Part] = []
    for index in range(bars):
        cause = context.at(index)
        named = dict(zip(_ANSWER_NAMES, rest[index * width : (index + 1) * width], strict=True))
        last = index + 1 == bars
        try:
            parts.append(
                bar_of(context, request, named, cause, told_by="answer", last=last, growing=request.keep_up_to_date)
            )
        except BadRecord as error:
            parts.append(Bad(cause, error))
    return parts


def _update(fields: Sequence[str], context: Context, previous: bytes | None) -> list[Part]:
    """The growing bar; before it the one before, if this message shows by a later start that it is whole."""
    latest = _updated(fields, context, context.cause, whole=False)
    if previous is not None:
        before = _updated(_fields(previous), context, context.cause, whole=True)
        if before.event_ns < latest.event_ns:
            return [before, replace(latest, cause=context.at(1))]
    return [latest]


def _updated(fields: Sequence[str], context: Context, cause: Cause, *, whole: bool) -> TwsBar:
    _expect(len(fields) == 2 + len(_UPDATE_NAMES), "90, request and 8 fields", fields)
    named = dict(zip(_UPDATE_NAMES, fields[2:], strict=True))
    return bar_of(context, context.asked(), named, cause, told_by="update", last=not whole, growing=True)


def _realtime(fields: Sequence[str], context: Context) -> list[Part]:
    _expect(len(fields) == 3 + len(_REALTIME_NAMES), "50, version, request and 8 fields", fields)
    named = dict(zip(_REALTIME_NAMES, fields[3:], strict=True))
    request = replace(context.asked(), bar_size=_REALTIME_SIZE)
    return [bar_of(context, request, named, context.cause, told_by="realtime", last=False, growing=False)]


def _error(fields: Sequence[str], context: Context) -> list[Part]:
    _expect(len(fields) in {5, 6}, "4, version, request, code, text and, from server 166 on, JSON", fields)
    req_id = values.whole(fields[2], "request")
    code = values.whole(fields[3], "code")
    request = context.request
    return [
        TwsError(
            event_ns=context.received_ns,
            received_ns=context.received_ns,
            known_ns=context.received_ns,
            known_by=context.known_by,
            cause=context.cause,
            conn=context.conn,
            code=code,
            text=fields[4],
            req_id=None if req_id == _NO_REQUEST else req_id,
            symbol=None if request is None else request.symbol,
            reason=tws_codes.reason_of(code, fields[4]),
        )
    ]


def _expect(held: bool, expected: str, fields: Sequence[str]) -> None:
    if not held:
        raise BadRecord("missing_field", f"expected {expected}, were {len(fields)} fields")


_READERS: dict[int, Callable[[Sequence[str], Context], list[Part]]] = {
    ERROR: _error,
    BARS: _answer,
    REALTIME: _realtime,
}
