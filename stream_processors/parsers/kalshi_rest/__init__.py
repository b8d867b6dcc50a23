"""Kalshi REST answers -> facts. The path that was asked for says what an answer holds.

Source: Kalshi OpenAPI 3.10 to 3.34 (read 2026-11). An item that cannot be read is refused, the others stand; an answer
that is no JSON object, has no list where its path promises one, or is not a 200, is refused as a whole.
"""

import re
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from msgspec import Raw

from stream_processors.envelope import Envelope
from stream_processors.fields import refusal
from stream_processors.parsers.kalshi_rest import markets
from stream_processors.parsers.kalshi_rest.reading import Context, Fields, items, parts
from topics.domains import domain_of
from topics.errors import BadRecord
from topics.events import Cause, Trade
from topics.kalshi_rest import AnyRest, Document, Event, Series

RestItem = Trade | AnyRest
Refused = tuple[Cause, BadRecord]

_OK = 200
_PREFIX = "/trade-api/v2"
_DAY_S = 86_400
_PERIODS_S = {"1": 60, "60": 3_600, "1440": _DAY_S}


class Question:
    """What was asked: the path below `/trade-api/v2`, and the parameters' last values."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        path = split.path.partition(_PREFIX)[2] or split.path
        self.parts = tuple(unquote(part) for part in path.strip("/").split("/"))
        self.path = "/" + "/".join(self.parts)
        self.params = {name: values[-1] for name, values in parse_qs(split.query).items()}

    def period_s(self) -> int:
        """The candles' length. Raises BadRecord when it was not asked for as the contract says."""
        asked = self.params.get("period_interval", "")
        if asked not in _PERIODS_S:
            raise BadRecord("bad_value", f"period_interval: expected one of {sorted(_PERIODS_S)}, was {asked[:20]!r}")
        return _PERIODS_S[asked]


Answer = Callable[[bytes, Question, Context], Iterator[RestItem | Refused]]


def parse(value: bytes, url: str, status: int, envelope: Envelope, cause: Cause) -> Iterator[RestItem | Refused]:
    """The facts and refusals of one answer, in its order. Raises BadRecord for what is refused as a whole."""
    if status != _OK:
        raise BadRecord("bad_status", f"{url[:200]}: expected HTTP 200, was {status}: {value[:300]!r}")
    try:
        question = Question(url)
    except ValueError as error:
        raise BadRecord("missing_header", f"header url: expected a URL, was {url[:200]!r}: {error}") from error
    answer = _answer_of(question)
    try:
        yield from answer(value, question, Context(envelope, cause))
    except _UNREADABLE as error:
        raise _refused(error) from error


_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


def _refused(error: Exception) -> BadRecord:
    if isinstance(error, BadRecord):
        return error
    if isinstance(error, msgspec.ValidationError):
        return refusal(error)
    if isinstance(error, msgspec.MsgspecError | UnicodeDecodeError | RecursionError):
        return BadRecord("not_json", f"expected one JSON object: {error}")
    return BadRecord("bad_value", str(error))


def _each(raws: list[Raw], make: Callable[[Raw], Iterator[RestItem]], context: Context) -> Iterator[RestItem | Refused]:
    """Each item's facts; an item that cannot be read is one refusal."""
    for raw in raws:
        try:
            yield from make(raw)
        except (BadRecord, *_UNREADABLE) as error:
            yield context.next_cause(), _refused(error)


def _list(value: bytes, name: str) -> list[Raw]:
    """The list that the answer must have. An empty one is an answer, an absent one is not."""
    return items(_one(value, name))


def _one(value: bytes, name: str) -> Raw:
    found = parts(value).get(name)
    if found is None:
        raise BadRecord("missing_field", f"expected `{name}`, was absent")
    return found


def _beside(value: bytes, question: Question, context: Context, *known: str) -> Iterator[Document]:
    """What the answer holds beside its items, where that says anything."""
    fields = Fields(value)
    fields.skip("cursor", *known)
    extra = fields.others()
    if any(bytes(raw) not in {b"[]", b"null", b'""', b"{}"} for raw in parts(extra).values()):
        yield _document("listing", question, context, extra)


def _document(kind: str, question: Question, context: Context, body: Raw) -> Document:
    return Document(
        event_ns=context.envelope.received_ns,
        **context.origin(None),
        kind=kind,  # type: ignore[arg-type]  # ours
        subject=question.path,
        body=body,
    )


def _whole(kind: str) -> Answer:
    def answer(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
        parts(value)
        yield _document(kind, question, context, Raw(value.strip()))

    return answer


def _markets(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
    yield from _each(_list(value, "markets"), lambda raw: markets.market(raw, context), context)
    yield from _beside(value, question, context, "markets")


def _market(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
    yield from markets.market(_one(value, "market"), context)
    yield from _beside(value, question, context, "market")


def _events(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
    yield from _each(_list(value, "events"), lambda raw: _event_and_markets(raw, context), context)
    yield from _beside(value, question, context, "events")


def _event_and_markets(raw: Raw, context: Context) -> Iterator[RestItem]:
    nested = items(parts(raw).get("markets"))
    yield markets.event(raw, context, _opening_ns(nested))
    for market in nested:
        yield from markets.market(market, context)


def _event(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
    beside = items(parts(value).get("markets"))
    event = _one(value, "event")
    nested = beside or items(parts(event).get("markets"))
    yield from _each([event], lambda raw: iter((markets.event(raw, context, _opening_ns(nested)),)), context)
    yield from _each(nested, lambda raw: markets.market(raw, context), context)
    yield from _beside(value, question, context, "event", "markets")


def _opening_ns(raws: list[Raw]) -> int | None:
    """The first opening among markets; what cannot be read is refused where it is read for itself."""
    found = []
    for raw in raws:
        try:
            found.append(Fields(raw).time_ns("open_time"))
        except (BadRecord, *_UNREADABLE):
            continue
    return min((time for time in found if time is not None), default=None)


def _series_list(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
    yield from _each(_list(value, "series"), lambda raw: iter((markets.series(raw, context),)), context)
    yield from _beside(value, question, context, "series")


def _series(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
    yield markets.series(_one(value, "series"), context)
    yield from _beside(value, question, context, "series")


def _trades(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
    yield from _each(_list(value, "trades"), lambda raw: iter((markets.trade(raw, context),)), context)
    yield from _beside(value, question, context, "trades")


def _candles_of(raws: list[Raw], ticker: str, period_s: int, context: Context) -> Iterator[RestItem | Refused]:
    return _each(raws, lambda raw: iter((markets.candle(raw, context, ticker, period_s),)), context)


def _candles(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
    ticker = question.parts[-2]
    yield from _candles_of(_list(value, "candlesticks"), ticker, question.period_s(), context)
    yield from _beside(value, question, context, "candlesticks", "ticker")


def _batch_candles(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
    for raw in _list(value, "markets"):
        ticker = Fields(raw).required("market_ticker")
        yield from _candles_of(_list(raw, "candlesticks"), ticker, question.period_s(), context)
    yield from _beside(value, question, context, "markets")


def _event_candles(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
    tickers = msgspec.json.decode(_one(value, "market_tickers"), type=list[str])
    lists = _list(value, "market_candlesticks")
    if len(tickers) != len(lists):
        raise BadRecord("bad_value", f"expected candles for {len(tickers)} market_tickers, were {len(lists)} lists")
    for ticker, raw in zip(tickers, lists, strict=True):
        yield from _candles_of(items(raw), ticker, question.period_s(), context)
    yield from _beside(value, question, context, "market_tickers", "market_candlesticks")


def _book(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
    yield markets.book(value, context, question.parts[-2])


def _chart(value: bytes, question: Question, context: Context) -> Iterator[RestItem | Refused]:
    fields = Fields(value)
    at_ns = fields.time_ns("timestamp")
    if at_ns is None:
        raise BadRecord("missing_field", "expected `timestamp`, was absent")
    for bracket, shown in msgspec.json.decode(_one(value, "prices"), type=dict[str, str]).items():
        if shown:  # an empty cell: no price yet
            try:
                yield markets.charted(bracket, shown, question.parts[-1], at_ns, context)
            except BadRecord as error:
                yield context.next_cause(), error


# Path, `*` for one part of it -> what its answer holds.
_ANSWERS: tuple[tuple[str, Answer], ...] = (
    ("/series", _series_list),
    ("/series/*", _series),
    ("/events", _events),
    ("/events/*", _event),
    ("/events/*/metadata", _whole("event_metadata")),
    ("/markets", _markets),
    ("/historical/markets", _markets),
    ("/markets/trades", _trades),
    ("/historical/trades", _trades),
    ("/markets/candlesticks", _batch_candles),
    ("/markets/*", _market),
    ("/historical/markets/*", _market),
    ("/markets/*/orderbook", _book),
    ("/series/*/markets/*/candlesticks", _candles),
    ("/historical/markets/*/candlesticks", _candles),
    ("/series/*/events/*/candlesticks", _event_candles),
    ("/historical/cutoff", _whole("cutoff")),
    ("/exchange/status", _whole("status")),
    ("/exchange/schedule", _whole("schedule")),
    ("/chart/*", _chart),  # no API: what the site exports
)
_PATTERNS = [(re.compile(path.replace("*", "[^/]+")), answer) for path, answer in _ANSWERS]


def _answer_of(question: Question) -> Answer:
    for pattern, answer in _PATTERNS:
        if pattern.fullmatch(question.path):
            return answer
    raise BadRecord("unknown_type", f"expected a path of Kalshi's market data, was {question.path[:200]!r}")


def domain(item: RestItem) -> str:
    """The join domain of a fact: of its market, event or series; documents stand by themselves."""
    match item:
        case Event():
            return domain_of(item.event_ticker)
        case Series():
            return domain_of(item.series_ticker)
        case Document():
            return "KALSHI"
        case _:
            return domain_of(item.market_ticker)
