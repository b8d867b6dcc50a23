"""One line of a recorded file -> facts. Bars are written as CSV, as JSON, or as a line of a dialogue with TWS.

Columns go by the names that ib_async's BarData and the usual exports use; what no name is known for is kept in `terms`.
"""

import csv
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stream_processors.envelope import Headers
from stream_processors.parsers.tws import values
from stream_processors.parsers.tws.said import Context, Part, ToldBy, bar_of
from topics import tws_codes
from topics.catalog import H_COLUMNS
from topics.errors import BadRecord
from topics.tws import TwsError, TwsRequest

FIELD_BY_NAME = {
    "date": "date",
    "datetime": "date",
    "time": "date",
    "open": "open",
    "open_": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
    "average": "average",
    "wap": "average",
    "barcount": "count",
    "count": "count",
}
_CON_ID = "conid"
_PRINTED_BAR = re.compile(
    r"(?:BarData|RealTimeBar)\((?:date|time)=datetime\.datetime\((\d{4}(?:, \d{1,2}){4,5})"
    r"(, tzinfo=datetime\.timezone\.utc)?\), (.*)\)"
)
_PRINTED_NUMBER = re.compile(r"(\w+)=(-?[\d.]+(?:[eE][+-]?\d+)?)")
_PRINTED_ERROR = re.compile(r"Error (\d{1,6}), reqId (-?\d{1,12}): (.*)", re.DOTALL)
_FIELDS_MAX = 100
_decode_object = msgspec.json.Decoder(dict[str, Any], float_hook=str).decode


def _csv(value: bytes, headers: Headers, context: Context) -> list[Part]:
    names = _cells(headers.get(H_COLUMNS, b""))
    cells = _cells(value)
    if not 0 < len(names) == len(cells) <= _FIELDS_MAX:
        raise BadRecord("missing_field", f"expected {len(names)} cells, as the header {H_COLUMNS}, were {len(cells)}")
    return [_file_bar(dict(zip(names, cells, strict=True)), context)]


def _cells(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode()], strict=True), [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadRecord("bad_value", f"expected a line of CSV in UTF-8: {error}") from error


def _json(value: bytes, _headers: Headers, context: Context) -> list[Part]:
    return [_file_bar(_texts(_object(value)), context)]


def _file_bar(row: Mapping[str, str], context: Context) -> Part:
    fields: dict[str, str] = {}
    terms: dict[str, str] = {}
    request: TwsRequest = context.asked()
    for name, text in row.items():
        field = FIELD_BY_NAME.get(name.casefold().strip())
        if field is not None and field not in fields:
            fields[field] = text
        elif name.casefold() == _CON_ID and text:
            request = replace(request, con_id=values.whole(text, name))
        else:
            terms[name] = text
    if "volume" in fields and "count" in fields:
        fields["count"] = fields["count"].removesuffix(".0")
    return bar_of(
        context,
        request,
        fields,
        context.cause,
        told_by="file",
        last=False,
        growing=False,
        terms=msgspec.json.encode(terms),
    )


class _Dialogue(Struct):
    """One line of a dialogue: who speaks, the name of the message, and its fields."""

    name: str
    fields: dict[str, str]


def _transcript(value: bytes, _headers: Headers, context: Context) -> list[Part]:
    said = _said(value)
    if said.name in {"historical_bar", "historical_data_update", "realtime_bar"}:
        request = context.asked()
        update = said.name == "historical_data_update"
        told_by: ToldBy = "update" if update else "realtime" if said.name == "realtime_bar" else "answer"
        fields = {FIELD_BY_NAME[name]: text for name, text in said.fields.items() if name in FIELD_BY_NAME}
        return [bar_of(context, request, fields, context.cause, told_by=told_by, last=update, growing=update)]
    if said.name == "api_error":
        return [_error(said.fields, context)]
    if said.name not in _QUIET:
        raise BadRecord("unknown_type", f"expected a message of a TWS server, was {said.name[:64]!r}")
    return []


def _said(value: bytes) -> _Dialogue:
    who, _, rest = value.partition(b" ")
    name, _, text = rest.partition(b" ")
    if who != b"server":
        raise BadRecord("unknown_type", f"expected a line `server NAME {{...}}`, was {value[:64]!r}")
    return _Dialogue(name.decode("utf-8", "backslashreplace"), _texts(_object(text or b"{}")))


def _printed(value: bytes, _headers: Headers, context: Context) -> list[Part]:
    """What ib_async's bars and errors look like when they are printed."""
    text = value.decode("utf-8", "backslashreplace")
    if match := _PRINTED_ERROR.fullmatch(text):
        return [_error({"code": match[1], "req_id": match[2], "message": match[3]}, context)]
    if not (match := _PRINTED_BAR.fullmatch(text)):
        raise BadRecord("unknown_type", f"expected a BarData, a RealTimeBar or an Error, was {text[:64]!r}")
    moment = "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*(int(part) for part in [*match[1].split(", "), 0, 0][:6]))
    fields = {"date": moment + ("Z" if match[2] else "")}
    fields |= {
        FIELD_BY_NAME[name]: number for name, number in _PRINTED_NUMBER.findall(match[3]) if name in FIELD_BY_NAME
    }
    return [bar_of(context, context.asked(), fields, context.cause, told_by="realtime", last=False, growing=False)]


def _error(fields: Mapping[str, str], context: Context) -> TwsError:
    code = values.whole(fields.get("code", ""), "code")
    req_id = fields.get("req_id", "-1")
    text = fields.get("message", "")
    return TwsError(
        event_ns=context.received_ns,
        received_ns=context.received_ns,
        known_ns=context.received_ns,
        known_by=context.known_by,
        cause=context.cause,
        conn=context.conn,
        code=code,
        text=text,
        req_id=None if req_id == "-1" or not req_id.isdigit() else values.whole(req_id, "request"),
        symbol=None if context.request is None else context.request.symbol,
        reason=tws_codes.reason_of(code, text),
    )


def _object(text: bytes) -> dict[str, Any]:
    try:
        return _decode_object(text)
    except msgspec.ValidationError as error:
        raise BadRecord("bad_value", f"expected a JSON object: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord("not_json", f"expected a JSON object: {error}") from error


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    """Numbers as they are written; anything that is no number and no text as JSON."""
    if len(row) > _FIELDS_MAX:
        raise BadRecord("bad_value", f"expected at most {_FIELDS_MAX} fields, were {len(row)}")
    try:
        return {
            name: "" if value is None else value if isinstance(value, str) else json.dumps(value)
            for name, value in row.items()
        }
    except RecursionError as error:  # the decoder goes deeper than the encoder
        raise BadRecord("bad_value", f"expected fields that are hardly nested: {error}") from error


# Messages of a recorded dialogue that state no bar and no error.
_QUIET = frozenset({
    "account_summary", "account_summary_end", "cancel_order", "contract_details", "contract_details_end", "head_timestamp",
    "historical_bars_end", "historical_news", "historical_news_end", "historical_schedule", "historical_ticks",
    "historical_ticks_bid_ask", "historical_ticks_last", "managed_accounts", "market_data_type", "next_valid_id",
    "open_order", "open_orders_end", "order_status", "position", "position_end", "tick_generic", "tick_price",
    "tick_req_params", "tick_size", "tick_snapshot_end", "tick_string", "current_time",
})  # fmt: skip

Read = Callable[[bytes, Headers, Context], list[Part]]
READERS: dict[bytes, Read] = {b"csv": _csv, b"json": _json, b"transcript": _transcript, b"printed": _printed}
NAMES = "csv, json, printed or transcript"
