"""Recorded REST answers: one JSON document a file, or NDJSON with one answer a line.

Understood: bodies as the API gives them; bodies within `{"_metadata": {"recorded_at", "endpoint", ..}, "response": ..}`
and captures `{"captured_at", "ticker", "raw_orderbook": ..}`, whose recorders left their stamp; and what recorders made of
bodies (`{ticker: [trade, ..]}`, a bare market, a list of an event's markets), which is put back into the form of the body
it was taken from. A table of prices as the site exports its charts (`timestamp,77° or below,..`, the event in the file's
name) is given line by line, under a path that no API has. The path that must have been asked stands in the header `url`.
A file without a stamp is `rule`: the parser says by its stated rules when each fact was known.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Raw

from tapefold.payloads.files import BOM, Payload, content
from topics.catalog import H_STATUS, H_URL

SUFFIXES = (".json", ".json.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".csv", ".csv.gz")

_API = "/trade-api/v2"
_CHART = "/chart"
_EVENT_IN_NAME = re.compile(r"([a-z0-9]+-\d\d[a-z]{3}\d\d)(?![0-9])", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOOK_NAME = "_orderbook.json"
_objects = msgspec.json.Decoder(dict[str, Raw]).decode
_LIST_PATHS = {"markets": "/markets", "events": "/events", "trades": "/markets/trades", "series": "/series"}
_SINGLES = (("event", "event_ticker", "events"), ("market", "ticker", "markets"), ("series", "ticker", "series"))
_ENDPOINTS = {
    "candlesticks_batch": "/markets/candlesticks",
    "event_candlesticks": "/series/{series_ticker}/events/{event_ticker}/candlesticks",
    "event_metadata": "/events/{event_ticker}/metadata",
    "event_single": "/events/{ticker}",
    "events_list": "/events",
    "exchange_schedule": "/exchange/schedule",
    "exchange_status": "/exchange/status",
    "market_single": "/markets/{ticker}",
    "markets_list": "/markets",
    "orderbook": "/markets/{ticker}/orderbook",
    "series_candlesticks": "/series/{series_ticker}/markets/{ticker}/candlesticks",
    "series_list": "/series",
    "series_single": "/series/{series_ticker}",
    "trades_list": "/markets/trades",
}
_PARAMS = frozenset({"start_ts", "end_ts", "period_interval", "limit", "category"})


def payloads(path: Path) -> Iterator[Payload]:
    """The answers of a file. What is none is given as it stands, for the parser to refuse."""
    whole = content(path).strip()
    if whole.removeprefix(BOM).startswith(b"timestamp,"):
        yield from _chart(whole.removeprefix(BOM), path)
        return
    for text in _documents(whole):
        try:
            fields = _objects(text)
        except (ValueError, RecursionError):
            yield _payload(text, f"{_API}/", None, None)
            continue
        yield from _answers(text, fields, path)


def _chart(whole: bytes, path: Path) -> Iterator[Payload]:
    """A line: a time, and a price for each bracket of the event, an empty cell where the chart shows none."""
    header, *rows = whole.splitlines()
    brackets = header.decode("utf-8", "replace").split(",")[1:]
    named = _EVENT_IN_NAME.search(path.name)
    event = "" if named is None else named[1].upper()
    for row in rows:
        at, *cells = row.decode("utf-8", "replace").split(",")
        said: dict[str, Any] = {"timestamp": at}
        if len(cells) == len(brackets):
            said["prices"] = dict(zip(brackets, cells, strict=True))
        else:
            said["row"] = row.decode("utf-8", "replace")
        yield _payload(msgspec.json.encode(said), f"{_CHART}/{event}", event or None, None)


def _documents(whole: bytes) -> list[bytes]:
    try:
        msgspec.json.decode(whole, type=Raw)
    except (ValueError, RecursionError):
        return [line for line in (line.strip() for line in whole.splitlines()) if line]
    return [whole]


def _answers(text: bytes, fields: dict[str, Raw], path: Path) -> Iterator[Payload]:
    recorded = _stamped(fields) or _body(text, fields, path)
    if recorded is not None:
        yield recorded
    elif fields and all(bytes(raw).startswith(b"[") for raw in fields.values()):
        for ticker, trades in fields.items():
            url = f"{_API}/markets/trades?{urlencode({'ticker': ticker})}"
            yield _payload(b'{"trades":%b}' % bytes(trades), url, ticker, None)
    else:
        yield _payload(text, f"{_API}/", None, None)


def _stamped(fields: dict[str, Raw]) -> Payload | None:
    """What recorders wrapped, with their stamp."""
    names = fields.keys()
    if {"_metadata", "response"} <= names:
        return _golden(fields)
    if {"raw_orderbook", "ticker", "captured_at"} <= names:
        ticker = _text(fields["ticker"])
        body = b'{"orderbook_fp":%b}' % bytes(fields["raw_orderbook"])
        return _payload(body, f"{_API}/markets/{ticker}/orderbook", ticker, _stamp_ns(fields["captured_at"]))
    if {"captured_at", "series", "settlement_sources"} <= names:
        return _captured_series(fields)
    return None


def _body(text: bytes, fields: dict[str, Raw], path: Path) -> Payload | None:
    """Bodies as the API gives them, and a market or a list of markets that was taken out of one."""
    names = fields.keys()
    for name, ticker_name, folder in _SINGLES:
        if name in names and bytes(fields[name]).startswith(b"{"):
            ticker = _named(fields[name], ticker_name)
            return _payload(text, f"{_API}/{folder}/{ticker}", ticker, None)
    if {"ticker", "event_ticker"} <= names:
        ticker = _text(fields["ticker"])
        return _payload(b'{"market":%b}' % text, f"{_API}/markets/{ticker}", ticker, None)
    if {"event_ticker", "markets"} <= names:
        ticker = _text(fields["event_ticker"])
        url = f"{_API}/markets?{urlencode({'event_ticker': ticker})}"
        return _payload(b'{"markets":%b}' % bytes(fields["markets"]), url, ticker, None)
    if names & {"orderbook", "orderbook_fp"}:
        ticker = path.name.partition("_")[0] if _BOOK_NAME in path.name else ""
        return _payload(text, f"{_API}/markets/{ticker}/orderbook", ticker, None)
    listed = next((name for name in _LIST_PATHS if name in names), None)
    return None if listed is None else _payload(text, f"{_API}{_LIST_PATHS[listed]}", None, None)


def _golden(fields: dict[str, Raw]) -> Payload:
    said = _values(fields["_metadata"])
    asked = {name: value for name, value in said.items() if isinstance(value, str | int)}
    try:
        url = _API + _ENDPOINTS.get(str(said.get("endpoint")), "/").format(**asked)
    except KeyError:
        url = f"{_API}/"
    params = {name: value for name, value in asked.items() if name in _PARAMS}
    query = f"?{urlencode(params)}" if params else ""
    key = next((str(asked[name]) for name in ("ticker", "event_ticker", "series_ticker") if name in asked), None)
    return _payload(bytes(fields["response"]), url + query, key, _iso_ns(said.get("recorded_at")))


def _captured_series(fields: dict[str, Raw]) -> Payload:
    """A recorder's extract of GET /series/{ticker}, with the rules of one of its markets beside."""
    ticker = _text(fields["series"])
    body = {"ticker": fields["series"], **{name: raw for name, raw in fields.items() if name != "series"}}
    value = msgspec.json.encode({"series": body})
    return _payload(value, f"{_API}/series/{ticker}", ticker, _stamp_ns(fields["captured_at"]))


def _payload(value: bytes, url: str, key: str | None, stamped_ns: int | None) -> Payload:
    ascii_url = url.encode("ascii", "backslashreplace")
    headers = ((H_URL, ascii_url), (H_STATUS, b"200"))
    return Payload(value, key.encode() if key else None, stamped_ns, None, headers=headers, ruled=True)


def _values(raw: Raw) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (ValueError, RecursionError):
        return {}


def _named(raw: Raw, name: str) -> str:
    value = _values(raw).get(name)
    return value if isinstance(value, str) else ""


def _text(raw: Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=str)
    except (ValueError, RecursionError):
        return ""


def _stamp_ns(raw: Raw) -> int | None:
    return _iso_ns(_text(raw))


def _iso_ns(text: object) -> int | None:
    """A recorder's stamp with its zone; without one it is no stamp."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return None if moment.tzinfo is None else (moment - _EPOCH) // timedelta(microseconds=1) * 1_000
