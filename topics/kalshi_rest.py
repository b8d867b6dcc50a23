"""The typed events of Kalshi's REST API: what an answer states of series, events, markets, settlements and candles.

Units as in `topics.events`. `known_ns` is when we received the answer (`observed`). A payload that was loaded from a file
whose recorder left no stamp is `assumed` by the rule that each type names.
`revision` is a hash of the content alone: the same content told again is the same revision, kept as first told.
"""

from typing import Literal

from msgspec import Raw

from topics.events import Int64, Told

Level = tuple[Int64, Int64]  # price_e6, size_e4
NOTHING = Raw(b"{}")
NO_LIST = Raw(b"[]")


class MarketTerms(Told, frozen=True, kw_only=True, gc=False, tag="terms"):
    """The contract of one market, as one answer told it. Identity: (market_ticker, revision). Assumed: at its opening.

    event_ns: the opening. updated_ns: when the exchange last changed metadata; not part of the revision.
    climate_day, station, cli, measure: for weather series; cli: the code that the rules name, None when they name none.
    settlement_source: who settles by the rules' text: nws (climate report) or twc (The Weather Company, since 2026-08).
    floor_strike_e6: the least value that leads to yes, cap_strike_e6 the greatest; `greater` and `less` exclude them.
    """

    market_ticker: str
    event_ticker: str
    series_ticker: str
    revision: str
    market_type: str | None = None
    title: str | None = None
    subtitle: str | None = None
    yes_sub_title: str | None = None
    no_sub_title: str | None = None
    open_ns: Int64 | None = None
    close_ns: Int64 | None = None
    created_ns: Int64 | None = None
    updated_ns: Int64 | None = None
    expected_expiration_ns: Int64 | None = None
    latest_expiration_ns: Int64 | None = None
    settlement_timer_s: Int64 | None = None
    can_close_early: bool | None = None
    early_close_condition: str | None = None
    strike_type: str | None = None
    floor_strike_e6: Int64 | None = None
    cap_strike_e6: Int64 | None = None
    rules_primary: str | None = None
    rules_secondary: str | None = None
    price_level_structure: str | None = None
    price_ranges: Raw = NO_LIST
    climate_day: str | None = None
    station: str | None = None
    cli: str | None = None
    measure: Literal["high", "low"] | None = None
    settlement_source: Literal["nws", "twc"] | None = None


class MarketPoll(Told, frozen=True, kw_only=True, gc=False, tag="poll"):
    """What moves in a market, as one answer told it, or a recording that kept no more than quotes or a price.

    extra: all fields that no type names, as sent. Assumed: at the latest expiration, when none of it changes any more; of
    a chart, a minute after the time that it names.
    """

    market_ticker: str
    status: str | None = None
    yes_bid_e6: Int64 | None = None
    yes_ask_e6: Int64 | None = None
    no_bid_e6: Int64 | None = None
    no_ask_e6: Int64 | None = None
    last_price_e6: Int64 | None = None
    yes_bid_size_e4: Int64 | None = None
    yes_ask_size_e4: Int64 | None = None
    volume_e4: Int64 | None = None
    volume_24h_e4: Int64 | None = None
    open_interest_e4: Int64 | None = None
    extra: Raw = NOTHING


class Settlement(Told, frozen=True, kw_only=True, gc=False, tag="settlement"):
    """The outcome of one market. Identity: (market_ticker, status, result, expiration_value, settlement_value_e6).

    Provisional until status is `finalized`: a determined result may be disputed and amended. expiration_value: as told,
    a number as text in most cases, None while it is "". Assumed: at settled_ns, else at the latest expiration.
    """

    market_ticker: str
    event_ticker: str
    status: str
    result: str | None = None
    expiration_value: str | None = None
    expiration_value_e6: Int64 | None = None
    settlement_value_e6: Int64 | None = None
    settled_ns: Int64 | None = None
    climate_day: str | None = None
    station: str | None = None
    settlement_source: Literal["nws", "twc"] | None = None


class Event(Told, frozen=True, kw_only=True, gc=False, tag="event"):
    """One event (the markets of one climate day). Identity: (event_ticker, revision). Assumed: at its markets' opening."""

    event_ticker: str
    series_ticker: str
    revision: str
    title: str | None = None
    sub_title: str | None = None
    category: str | None = None
    mutually_exclusive: bool | None = None
    collateral_return_type: str | None = None
    strike_ns: Int64 | None = None
    strike_period: str | None = None
    climate_day: str | None = None
    station: str | None = None
    settlement_sources: Raw = NO_LIST
    extra: Raw = NOTHING


class Series(Told, frozen=True, kw_only=True, gc=False, tag="series"):
    """One series. Identity: (series_ticker, revision). canonical: the series that trades today, for older names."""

    series_ticker: str
    revision: str
    title: str | None = None
    category: str | None = None
    frequency: str | None = None
    fee_type: str | None = None
    fee_multiplier_e6: Int64 | None = None
    contract_url: str | None = None
    contract_terms_url: str | None = None
    canonical: str | None = None
    station: str | None = None
    zone: str | None = None
    cli: str | None = None
    measure: Literal["high", "low"] | None = None
    settlement_sources: Raw = NO_LIST
    extra: Raw = NOTHING


class Candle(Told, frozen=True, kw_only=True, gc=False, tag="candle"):
    """One candle of the exchange; event_ns is its inclusive end. None: no trade, or no quote, in the period.

    Identity: (market_ticker, period_s, event_ns, revision): the last one is partial, and is told again. Assumed: a
    minute after its end.
    """

    market_ticker: str
    period_s: Int64
    revision: str
    open_e6: Int64 | None = None
    high_e6: Int64 | None = None
    low_e6: Int64 | None = None
    close_e6: Int64 | None = None
    mean_e6: Int64 | None = None
    previous_e6: Int64 | None = None
    min_e6: Int64 | None = None
    max_e6: Int64 | None = None
    yes_bid_open_e6: Int64 | None = None
    yes_bid_high_e6: Int64 | None = None
    yes_bid_low_e6: Int64 | None = None
    yes_bid_close_e6: Int64 | None = None
    yes_ask_open_e6: Int64 | None = None
    yes_ask_high_e6: Int64 | None = None
    yes_ask_low_e6: Int64 | None = None
    yes_ask_close_e6: Int64 | None = None
    volume_e4: Int64 | None = None
    open_interest_e4: Int64 | None = None
    extra: Raw = NOTHING


class BookPoll(Told, frozen=True, kw_only=True, gc=False, tag="book_poll"):
    """The resting bids of one market in one answer, which may be 15 s old: never a basis to mend a live book."""

    market_ticker: str
    yes: tuple[Level, ...] = ()
    no: tuple[Level, ...] = ()
    yes_bid_e6: Int64 | None = None
    yes_ask_e6: Int64 | None = None
    extra: Raw = NOTHING


class Document(Told, frozen=True, kw_only=True, gc=False, tag="document"):
    """An answer that is kept whole: exchange status and schedule, the historical cutoff, metadata of an event.

    listing: what an answer of another kind held beside its items and its cursor. subject: the path asked for.
    """

    kind: Literal["status", "schedule", "cutoff", "event_metadata", "listing"]
    subject: str
    body: Raw


AnyRest = MarketTerms | MarketPoll | Settlement | Event | Series | Candle | BookPoll | Document
