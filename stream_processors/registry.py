"""Which parser reads which raw topic. A source adds one function and one line here; `ingest` knows nothing else of it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from stream_processors.envelope import Headers, RawRecord, envelope_of
from stream_processors.parsers import kalshi, kalshi_rest, rag, tws, webhook
from stream_processors.parsers.iem import answer, cli, mos
from topics.catalog import (
    FACT_BAR,
    FACT_BOOK,
    FACT_CLIMATE,
    FACT_FORECAST,
    FACT_MARKET,
    FACT_PREDICTION,
    FACT_TICK,
    FACT_TRADE,
    FACT_WEBHOOK,
    H_STATUS,
    H_URL,
    RAW_IEM_CLI,
    RAW_IEM_MOS,
    RAW_KALSHI_REST,
    RAW_KALSHI_WS,
    RAW_RAG,
    RAW_TWS,
    RAW_WEBHOOK,
)
from topics.domains import domain_of
from topics.errors import BadRecord
from topics.events import BookDelta, BookSnapshot, Cause, Market, Tick, Trade
from topics.facts import AnyFact
from topics.kalshi_rest import BookPoll, Candle, MarketPoll
from topics.rag import PredictionRun
from topics.weather import AnyWeather


class Told(NamedTuple):
    """One fact of a payload, its topic, and its join domain: the key under which it meets what it is joined with."""

    topic: str
    domain: str
    fact: AnyFact


class Unfit(NamedTuple):
    """One part of a payload that is refused while the others stand; its `cause.index` says which."""

    cause: Cause
    error: BadRecord


Parse = Callable[[RawRecord, Headers, Cause], Iterable[Told | Unfit]]
"""All facts of one payload, in its order, `cause.index` counted from 0. Raises BadRecord to refuse it as a whole."""

_KALSHI_TOPIC: dict[type, str] = {
    Trade: FACT_TRADE,
    Tick: FACT_TICK,
    BookDelta: FACT_BOOK,
    BookSnapshot: FACT_BOOK,
    Market: FACT_MARKET,
    MarketPoll: FACT_TICK,
}

_REST_TOPIC: dict[type, str] = {Trade: FACT_TRADE, MarketPoll: FACT_TICK, Candle: FACT_TICK, BookPoll: FACT_TICK}


def _kalshi_ws(record: RawRecord, headers: Headers, cause: Cause) -> Iterable[Told | Unfit]:
    fact = kalshi.parse(record.value or b"", envelope_of(headers), cause)
    if fact is None:
        return ()
    return (Told(_KALSHI_TOPIC[type(fact)], domain_of(fact.market_ticker), fact),)


def _kalshi_rest(record: RawRecord, headers: Headers, cause: Cause) -> Iterable[Told | Unfit]:
    url, status = headers.get(H_URL, b""), headers.get(H_STATUS, b"")
    if not url.isascii() or not (len(status) == 3 and status.isdigit()):  # noqa: PLR2004  # digits of an HTTP status
        raise BadRecord("missing_header", f"expected {H_URL} (ASCII) and {H_STATUS} (3 digits), were {headers!r}")
    said = kalshi_rest.parse(record.value or b"", url.decode(), int(status), envelope_of(headers), cause)
    for item in said:
        if isinstance(item, tuple):
            yield Unfit(*item)
        else:
            yield Told(_REST_TOPIC.get(type(item), FACT_MARKET), kalshi_rest.domain(item), item)


def _tws(record: RawRecord, headers: Headers, cause: Cause) -> Iterable[Told | Unfit]:
    for part in tws.parse(record.value or b"", headers, cause):
        if isinstance(part, tws.Bad):
            yield Unfit(part.cause, part.error)
        else:
            yield Told(FACT_BAR, tws.symbol_of(part), part)


def _webhook(record: RawRecord, headers: Headers, cause: Cause) -> Iterable[Told | Unfit]:
    fact = webhook.parse(record.value or b"", envelope_of(headers), headers, cause)
    return (Told(FACT_WEBHOOK, webhook.key_of(fact), fact),)


def _rag(record: RawRecord, headers: Headers, cause: Cause) -> Iterable[Told | Unfit]:
    for said in rag.parse(record.value or b"", envelope_of(headers), headers, cause):
        if isinstance(said, tuple):
            yield Unfit(*said)
        else:
            about = said.series_ticker if isinstance(said, PredictionRun) else said.market_ticker
            yield Told(FACT_PREDICTION, domain_of(about), said)


def _iem_mos(record: RawRecord, headers: Headers, cause: Cause) -> Iterable[Told | Unfit]:
    for said in mos.parse(record.value or b"", headers, cause):
        yield _weather(FACT_FORECAST, said, cause)


def _iem_cli(record: RawRecord, headers: Headers, cause: Cause) -> Iterable[Told | Unfit]:
    for said in cli.parse(record.value or b"", headers, cause):
        yield _weather(FACT_CLIMATE, said, cause)


def _weather(topic: str, said: AnyWeather | answer.Unfit, cause: Cause) -> Told | Unfit:
    if isinstance(said, answer.Unfit):
        return Unfit(Cause(cause.topic, cause.partition, cause.offset, said.place), said.error)
    return Told(topic, said.station, said)


PARSERS: dict[str, Parse] = {
    RAW_IEM_MOS: _iem_mos,
    RAW_IEM_CLI: _iem_cli,
    RAW_KALSHI_WS: _kalshi_ws,
    RAW_KALSHI_REST: _kalshi_rest,
    RAW_RAG: _rag,
    RAW_TWS: _tws,
    RAW_WEBHOOK: _webhook,
}

# What a source's own producer writes beside beats, gaps and coverage; its parser reads these, too.
OWN_KINDS: dict[str, frozenset[bytes]] = {RAW_TWS: tws.KINDS}
