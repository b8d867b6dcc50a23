"""One market, event, series, trade or candle of an answer -> facts.

Source: Kalshi OpenAPI 3.10 to 3.34 (read 2026-11) and recorded answers of 2025-04, 2026-01, 2026-02 and 2026-04.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from stream_processors.fields import price
from stream_processors.parsers.kalshi_rest.reading import (
    Context,
    Fields,
    complement_e6,
    levels,
    parts,
    revision_of,
)
from topics import stations
from topics.domains import WEATHER_SERIES, series_of
from topics.errors import BadRecord
from topics.events import Told, Trade
from topics.kalshi_rest import (
    NO_LIST,
    NOTHING,
    BookPoll,
    Candle,
    Event,
    MarketPoll,
    MarketTerms,
    Series,
    Settlement,
)
from topics.units import E6_PER_DOLLAR, NS_PER_MINUTE, price_e6

_OUTCOMES = frozenset({"determined", "disputed", "amended", "finalized", "settled"})
_SIDES = frozenset({"yes", "no", "yes_dollars", "no_dollars"})
_BRACKET = re.compile(r"\d{1,3}° (?:to \d{1,3}°|or (?:below|above))", re.ASCII)
_CENTS_PER_DOLLAR = 100
_TICKER_CHARS_MAX = 256  # as in the WebSocket's frames
_NOT_CONTENT = (*Told.__struct_fields__, "revision", "updated_ns")


def market(raw: msgspec.Raw, context: Context) -> Iterator[MarketTerms | MarketPoll | Settlement]:
    """The contract, what moves, and the outcome where there is one. Raises BadRecord before the first of them."""
    fields = Fields(raw)
    ticker, event_ticker = fields.required("ticker"), fields.required("event_ticker")
    terms = _terms(fields, ticker, event_ticker, context)
    final_ns = fields.time_ns("settlement_ts")
    last_ns = terms.latest_expiration_ns or fields.time_ns("expiration_time")
    settlement = _settlement(fields, terms, final_ns, last_ns, context)
    yield terms
    yield _poll(fields, ticker, last_ns, context)
    if settlement is not None:
        yield settlement


def _terms(fields: Fields, ticker: str, event_ticker: str, context: Context) -> MarketTerms:
    open_ns = fields.time_ns("open_time")
    rules = fields.text("rules_primary")
    series_ticker = series_of(ticker)
    weather = WEATHER_SERIES.get(series_ticker)
    named = stations.cli_codes(rules or "")
    if weather is not None and named and named != (weather.station.cli,):
        raise BadRecord(
            "conflict",
            f"market {ticker}: the registry says CLI{weather.station.cli}, its rules say {named}; see STATION_OVERRIDES",
        )
    terms = MarketTerms(
        event_ns=context.envelope.received_ns if open_ns is None else open_ns,
        **context.origin(open_ns),
        market_ticker=ticker,
        event_ticker=event_ticker,
        series_ticker=series_ticker,
        revision="",
        market_type=fields.text("market_type"),
        title=fields.text("title"),
        subtitle=fields.text("subtitle"),
        yes_sub_title=fields.text("yes_sub_title"),
        no_sub_title=fields.text("no_sub_title"),
        open_ns=open_ns,
        close_ns=fields.time_ns("close_time"),
        created_ns=fields.time_ns("created_time"),
        updated_ns=fields.time_ns("updated_time"),
        expected_expiration_ns=fields.time_ns("expected_expiration_time"),
        latest_expiration_ns=fields.time_ns("latest_expiration_time"),
        settlement_timer_s=fields.whole("settlement_timer_seconds"),
        can_close_early=fields.flag("can_close_early"),
        early_close_condition=fields.text("early_close_condition"),
        strike_type=fields.filled("strike_type"),
        floor_strike_e6=fields.number_e6("floor_strike"),
        cap_strike_e6=fields.number_e6("cap_strike"),
        rules_primary=rules,
        rules_secondary=fields.text("rules_secondary"),
        price_level_structure=fields.text("price_level_structure"),
        price_ranges=fields.raw("price_ranges", NO_LIST),
        climate_day=stations.climate_day(ticker) if weather else None,
        station=weather.station.icao if weather else None,
        cli=named[0] if named else None,
        measure=weather.measure if weather else None,
        settlement_source=stations.settlement_source(rules or ""),
    )
    return msgspec.structs.replace(terms, revision=_revision(terms))


def _revision(fact: Told) -> str:
    return revision_of(*(getattr(fact, name) for name in fact.__struct_fields__ if name not in _NOT_CONTENT))


def _poll(fields: Fields, ticker: str, last_ns: int | None, context: Context) -> MarketPoll:
    fields.skip("result", "expiration_value", "settlement_value", "settlement_value_dollars", "settlement_ts")
    origin = context.origin(last_ns)
    return MarketPoll(
        event_ns=origin["known_ns"],
        **origin,
        market_ticker=ticker,
        status=fields.text("status"),
        yes_bid_e6=fields.price_e6("yes_bid"),
        yes_ask_e6=fields.price_e6("yes_ask"),
        no_bid_e6=fields.price_e6("no_bid"),
        no_ask_e6=fields.price_e6("no_ask"),
        last_price_e6=fields.price_e6("last_price"),
        yes_bid_size_e4=fields.size_e4("yes_bid_size"),
        yes_ask_size_e4=fields.size_e4("yes_ask_size"),
        volume_e4=fields.size_e4("volume"),
        volume_24h_e4=fields.size_e4("volume_24h"),
        open_interest_e4=fields.size_e4("open_interest"),
        extra=fields.others(),
    )


def charted(bracket: str, shown: str, event_ticker: str, at_ns: int, context: Context) -> MarketPoll:
    """One price of a chart of the site, in cents to two places: filled forward and perhaps a mean, never a trade.

    bracket: as the contract's `yes_sub_title`. The chart names no contract, and a strike that we made up would be none of
    the venue's, so event and bracket stand for it. Raises BadRecord.
    """
    if _BRACKET.fullmatch(bracket) is None:
        expected = "such as '77° or below', '78° to 79°', '86° or above'"
        raise BadRecord("bad_value", f"bracket: expected {expected}, was {bracket[:40]!r}")
    market_ticker = f"{event_ticker} {bracket}"
    if len(market_ticker) > _TICKER_CHARS_MAX:
        raise BadRecord("bad_value", f"event: expected a ticker, was {event_ticker[:40]!r}")
    cents_e6 = price(shown, None, "price")
    if cents_e6 % _CENTS_PER_DOLLAR or cents_e6 > _CENTS_PER_DOLLAR * E6_PER_DOLLAR:
        raise BadRecord("bad_value", f"price: expected 0 to 100 cents with four places at most, was {shown[:40]!r}")
    return MarketPoll(
        event_ns=at_ns,
        **context.origin(at_ns + NS_PER_MINUTE),
        market_ticker=market_ticker,
        last_price_e6=cents_e6 // _CENTS_PER_DOLLAR,
        extra=msgspec.Raw(msgspec.json.encode({"bracket": bracket, "price_of": "chart"})),
    )


def _settlement(
    fields: Fields, terms: MarketTerms, final_ns: int | None, last_ns: int | None, context: Context
) -> Settlement | None:
    status, result, value = fields.text("status"), fields.filled("result"), fields.filled("expiration_value")
    settled_value_e6 = fields.price_e6("settlement_value")
    if status is None or (status not in _OUTCOMES and result is None):
        return None
    origin = context.origin(final_ns or last_ns)
    return Settlement(
        event_ns=final_ns or origin["known_ns"],
        **origin,
        market_ticker=terms.market_ticker,
        event_ticker=terms.event_ticker,
        status=status,
        result=result,
        expiration_value=value,
        expiration_value_e6=_number_or_none(value),
        settlement_value_e6=settled_value_e6,
        settled_ns=final_ns,
        climate_day=terms.climate_day,
        station=terms.station,
        settlement_source=terms.settlement_source,
    )


def _number_or_none(text: str | None) -> int | None:
    """Most outcomes are numbers; `No` and other words are kept as text alone."""
    try:
        return None if text is None else price_e6(text)
    except ValueError:
        return None


def event(raw: msgspec.Raw, context: Context, opening_ns: int | None) -> Event:
    """One event. opening_ns: the first opening of its markets, where the answer holds them."""
    fields = Fields(raw)
    ticker = fields.required("event_ticker")
    weather = WEATHER_SERIES.get(series_of(ticker))
    fields.skip("markets")
    fact = Event(
        event_ns=context.envelope.received_ns if opening_ns is None else opening_ns,
        **context.origin(opening_ns),
        event_ticker=ticker,
        series_ticker=fields.filled("series_ticker") or series_of(ticker),
        revision="",
        title=fields.text("title"),
        sub_title=fields.text("sub_title"),
        category=fields.text("category"),
        mutually_exclusive=fields.flag("mutually_exclusive"),
        collateral_return_type=fields.text("collateral_return_type"),
        strike_ns=fields.time_ns("strike_date"),
        strike_period=fields.filled("strike_period"),
        climate_day=stations.climate_day(ticker) if weather else None,
        station=weather.station.icao if weather else None,
        settlement_sources=fields.raw("settlement_sources", NO_LIST),
        extra=fields.others(),
    )
    return msgspec.structs.replace(fact, revision=_revision(fact))


def series(raw: msgspec.Raw, context: Context) -> Series:
    """One series, with what the registry says of it."""
    fields = Fields(raw)
    ticker = fields.required("ticker")
    weather = WEATHER_SERIES.get(ticker)
    updated_ns = fields.time_ns("last_updated_ts")
    fact = Series(
        event_ns=updated_ns or context.envelope.received_ns,
        **context.origin(updated_ns),
        series_ticker=ticker,
        revision="",
        title=fields.text("title"),
        category=fields.text("category"),
        frequency=fields.text("frequency"),
        fee_type=fields.text("fee_type"),
        fee_multiplier_e6=fields.number_e6("fee_multiplier"),
        contract_url=fields.text("contract_url"),
        contract_terms_url=fields.text("contract_terms_url"),
        canonical=weather.canonical if weather else None,
        station=weather.station.icao if weather else None,
        zone=weather.station.zone if weather else None,
        cli=weather.station.cli if weather else None,
        measure=weather.measure if weather else None,
        settlement_sources=fields.raw("settlement_sources", NO_LIST),
        extra=fields.others(),
    )
    return msgspec.structs.replace(fact, revision=_revision(fact))


def trade(raw: msgspec.Raw, context: Context) -> Trade:
    """One trade: the same fact as the WebSocket's, its time with microseconds. sid 0: an answer has no subscription."""
    fields = Fields(raw)
    created_ns = fields.time_ns("created_time")
    yes, no, many = fields.price_e6("yes_price"), fields.price_e6("no_price"), fields.size_e4("count")
    if created_ns is None or yes is None or no is None or many is None:
        raise BadRecord("missing_field", "expected `created_time`, `yes_price`, `no_price` and `count`, was without")
    fields.skip("price")  # the yes price again, as a float
    return Trade(
        market_ticker=fields.required("ticker"),
        event_ns=created_ns,
        **context.origin(created_ns),
        sid=0,
        trade_id=fields.required("trade_id"),
        yes_price_e6=yes,
        no_price_e6=no,
        size_e4=many,
        taker_outcome_side=_one_of(fields, ("yes", "no"), "taker_outcome_side", "taker_side"),
        taker_book_side=_one_of(fields, ("bid", "ask"), "taker_book_side"),
        is_block_trade=fields.flag("is_block_trade"),
        extra=fields.others(),
    )


def _one_of(fields: Fields, allowed: tuple[str, ...], *names: str) -> Any:
    for value in [fields.filled(name) for name in names]:
        if value is not None:
            if value not in allowed:
                raise BadRecord("bad_value", f"`{names[0]}`: expected one of {allowed}, was {value[:40]!r}")
            return value
    return None


def candle(raw: msgspec.Raw, context: Context, ticker: str, period_s: int) -> Candle:
    """One candle of either shape: `_dollars` and `_fp` (live), plain names with text (historical), or cents (before)."""
    fields = Fields(raw)
    end_ns = fields.seconds_ns("end_period_ts")
    if end_ns is None:
        raise BadRecord("missing_field", "expected `end_period_ts`, was absent")
    prices: dict[str, int | None] = {}
    unknown: dict[str, msgspec.Raw] = {}
    for side, prefix, names in (
        ("price", "", ("open", "high", "low", "close", "mean", "previous", "min", "max")),
        ("yes_bid", "yes_bid_", ("open", "high", "low", "close")),
        ("yes_ask", "yes_ask_", ("open", "high", "low", "close")),
    ):
        inner = Fields(fields.raw(side, msgspec.Raw(b"{}")))
        prices |= {f"{prefix}{name}_e6": inner.historical_price_e6(name) for name in names}
        if (left := inner.others()) != NOTHING:
            unknown[side] = left
    fact = Candle(
        event_ns=end_ns,
        **context.origin(end_ns + NS_PER_MINUTE),
        market_ticker=ticker,
        period_s=period_s,
        revision="",
        **prices,
        volume_e4=fields.size_e4("volume"),
        open_interest_e4=fields.size_e4("open_interest"),
        extra=fields.others(unknown),
    )
    return msgspec.structs.replace(fact, revision=_revision(fact))


def book(raw: bytes, context: Context, ticker: str) -> BookPoll:
    """The resting bids; `orderbook_fp` wins over the older `orderbook`."""
    fields = Fields(raw)
    both = parts(raw)
    chosen = both.get("orderbook_fp", both.get("orderbook"))
    if chosen is None:
        raise BadRecord("missing_field", "expected `orderbook_fp` or `orderbook`, was neither")
    fields.skip("orderbook_fp", "orderbook")
    sides = parts(chosen)
    yes = levels(sides.get("yes_dollars", sides.get("yes")))
    no = levels(sides.get("no_dollars", sides.get("no")))
    return BookPoll(
        event_ns=context.envelope.received_ns,
        **context.origin(None),
        market_ticker=ticker,
        yes=yes,
        no=no,
        yes_bid_e6=max((at for at, _ in yes), default=None),
        yes_ask_e6=complement_e6(max((at for at, _ in no), default=None)),
        extra=fields.others({name: side for name, side in sides.items() if name not in _SIDES}),
    )
