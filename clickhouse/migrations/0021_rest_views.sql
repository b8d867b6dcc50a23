-- What users read of Kalshi's REST answers: every version, and the current state.

CREATE VIEW IF NOT EXISTS tapefold_api.market_versions
(
    market_ticker String COMMENT 'Kalshi market',
    event_ticker LowCardinality(String) COMMENT 'event it belongs to',
    series_ticker LowCardinality(String) COMMENT 'series, as the ticker says',
    revision String COMMENT 'hash of the content; other content is another revision',
    market_type LowCardinality(Nullable(String)) COMMENT 'binary or scalar; NULL: not told',
    title Nullable(String) COMMENT 'question; NULL: not told',
    subtitle Nullable(String) COMMENT 'as sent; NULL: not told',
    yes_sub_title Nullable(String) COMMENT 'what yes means; NULL: not told',
    no_sub_title Nullable(String) COMMENT 'as sent; NULL: not told',
    open_at Nullable(DateTime64(9, 'UTC')) COMMENT 'opening; NULL: not told',
    close_at Nullable(DateTime64(9, 'UTC')) COMMENT 'close; NULL: not told',
    created_at Nullable(DateTime64(9, 'UTC')) COMMENT 'creation; NULL: not told',
    updated_at Nullable(DateTime64(9, 'UTC')) COMMENT 'last change of metadata; NULL: not told',
    expected_expiration_at Nullable(DateTime64(9, 'UTC')) COMMENT 'as sent; NULL: not told',
    latest_expiration_at Nullable(DateTime64(9, 'UTC')) COMMENT 'as sent; NULL: not told',
    settlement_timer_s Nullable(Int64) COMMENT 'seconds between determination and settlement; NULL: not told',
    can_close_early Nullable(Bool) COMMENT 'as sent; NULL: not told',
    early_close_condition Nullable(String) COMMENT 'as sent; NULL: not told',
    strike_type LowCardinality(Nullable(String)) COMMENT 'greater, less, between and others; NULL: not told',
    floor_strike Nullable(Decimal(18, 6)) COMMENT 'least value for yes; greater excludes it; NULL: none',
    cap_strike Nullable(Decimal(18, 6)) COMMENT 'greatest value for yes; less excludes it; NULL: none',
    rules_primary Nullable(String) COMMENT 'as sent; NULL: not told',
    rules_secondary Nullable(String) COMMENT 'as sent; NULL: not told',
    price_level_structure LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    price_ranges String COMMENT 'valid prices, JSON as sent',
    climate_day LowCardinality(Nullable(String)) COMMENT 'climate day, YYYY-MM-DD, midnight to midnight standard time; NULL: no weather',
    station LowCardinality(Nullable(String)) COMMENT 'station that settles it; NULL: no weather',
    cli LowCardinality(Nullable(String)) COMMENT 'climate report that the rules name; NULL: they name none',
    measure LowCardinality(Nullable(String)) COMMENT 'high or low; NULL: no weather',
    settlement_source LowCardinality(Nullable(String)) COMMENT 'nws or twc, by the rules; NULL: they name neither',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per content of a market\'s contract, by its earliest telling'
AS SELECT market_ticker, event_ticker, series_ticker, revision, market_type, title, subtitle, yes_sub_title, no_sub_title, open_at, close_at, created_at, updated_at, expected_expiration_at, latest_expiration_at, settlement_timer_s, can_close_early, early_close_condition, strike_type, floor_strike, cap_strike, rules_primary, rules_secondary, price_level_structure, price_ranges, climate_day, station, cli, measure, settlement_source, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.market_terms FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.markets
(
    market_ticker String COMMENT 'Kalshi market',
    event_ticker LowCardinality(String) COMMENT 'event it belongs to',
    series_ticker LowCardinality(String) COMMENT 'series, as the ticker says',
    revision String COMMENT 'hash of the content; other content is another revision',
    market_type LowCardinality(Nullable(String)) COMMENT 'binary or scalar; NULL: not told',
    title Nullable(String) COMMENT 'question; NULL: not told',
    subtitle Nullable(String) COMMENT 'as sent; NULL: not told',
    yes_sub_title Nullable(String) COMMENT 'what yes means; NULL: not told',
    no_sub_title Nullable(String) COMMENT 'as sent; NULL: not told',
    open_at Nullable(DateTime64(9, 'UTC')) COMMENT 'opening; NULL: not told',
    close_at Nullable(DateTime64(9, 'UTC')) COMMENT 'close; NULL: not told',
    created_at Nullable(DateTime64(9, 'UTC')) COMMENT 'creation; NULL: not told',
    updated_at Nullable(DateTime64(9, 'UTC')) COMMENT 'last change of metadata; NULL: not told',
    expected_expiration_at Nullable(DateTime64(9, 'UTC')) COMMENT 'as sent; NULL: not told',
    latest_expiration_at Nullable(DateTime64(9, 'UTC')) COMMENT 'as sent; NULL: not told',
    settlement_timer_s Nullable(Int64) COMMENT 'seconds between determination and settlement; NULL: not told',
    can_close_early Nullable(Bool) COMMENT 'as sent; NULL: not told',
    early_close_condition Nullable(String) COMMENT 'as sent; NULL: not told',
    strike_type LowCardinality(Nullable(String)) COMMENT 'greater, less, between and others; NULL: not told',
    floor_strike Nullable(Decimal(18, 6)) COMMENT 'least value for yes; greater excludes it; NULL: none',
    cap_strike Nullable(Decimal(18, 6)) COMMENT 'greatest value for yes; less excludes it; NULL: none',
    rules_primary Nullable(String) COMMENT 'as sent; NULL: not told',
    rules_secondary Nullable(String) COMMENT 'as sent; NULL: not told',
    price_level_structure LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    price_ranges String COMMENT 'valid prices, JSON as sent',
    climate_day LowCardinality(Nullable(String)) COMMENT 'climate day, YYYY-MM-DD, midnight to midnight standard time; NULL: no weather',
    station LowCardinality(Nullable(String)) COMMENT 'station that settles it; NULL: no weather',
    cli LowCardinality(Nullable(String)) COMMENT 'climate report that the rules name; NULL: they name none',
    measure LowCardinality(Nullable(String)) COMMENT 'high or low; NULL: no weather',
    settlement_source LowCardinality(Nullable(String)) COMMENT 'nws or twc, by the rules; NULL: they name neither',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per market: its contract in the latest version'
AS SELECT market_ticker, event_ticker, series_ticker, revision, market_type, title, subtitle, yes_sub_title, no_sub_title, open_at, close_at, created_at, updated_at, expected_expiration_at, latest_expiration_at, settlement_timer_s, can_close_early, early_close_condition, strike_type, floor_strike, cap_strike, rules_primary, rules_secondary, price_level_structure, price_ranges, climate_day, station, cli, measure, settlement_source, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.market_terms FINAL
ORDER BY market_ticker, updated_at DESC NULLS LAST, known_at DESC, revision
LIMIT 1 BY market_ticker;

CREATE VIEW IF NOT EXISTS tapefold_api.event_versions
(
    event_ticker String COMMENT 'Kalshi event',
    series_ticker LowCardinality(String) COMMENT 'series',
    revision String COMMENT 'hash of the content; other content is another revision',
    title Nullable(String) COMMENT 'question; NULL: not told',
    sub_title Nullable(String) COMMENT 'as sent; NULL: not told',
    category LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    mutually_exclusive Nullable(Bool) COMMENT 'exactly one market resolves yes; NULL: not told',
    collateral_return_type LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    strike_at Nullable(DateTime64(9, 'UTC')) COMMENT 'as sent; NULL: not told',
    strike_period LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    climate_day LowCardinality(Nullable(String)) COMMENT 'climate day, YYYY-MM-DD, midnight to midnight standard time; NULL: no weather',
    station LowCardinality(Nullable(String)) COMMENT 'station that settles it; NULL: no weather',
    settlement_sources String COMMENT 'JSON as sent',
    extra String COMMENT 'fields that no column names, JSON as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per content of an event, by its earliest telling'
AS SELECT event_ticker, series_ticker, revision, title, sub_title, category, mutually_exclusive, collateral_return_type, strike_at, strike_period, climate_day, station, settlement_sources, extra, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.events FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.events
(
    event_ticker String COMMENT 'Kalshi event',
    series_ticker LowCardinality(String) COMMENT 'series',
    revision String COMMENT 'hash of the content; other content is another revision',
    title Nullable(String) COMMENT 'question; NULL: not told',
    sub_title Nullable(String) COMMENT 'as sent; NULL: not told',
    category LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    mutually_exclusive Nullable(Bool) COMMENT 'exactly one market resolves yes; NULL: not told',
    collateral_return_type LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    strike_at Nullable(DateTime64(9, 'UTC')) COMMENT 'as sent; NULL: not told',
    strike_period LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    climate_day LowCardinality(Nullable(String)) COMMENT 'climate day, YYYY-MM-DD, midnight to midnight standard time; NULL: no weather',
    station LowCardinality(Nullable(String)) COMMENT 'station that settles it; NULL: no weather',
    settlement_sources String COMMENT 'JSON as sent',
    extra String COMMENT 'fields that no column names, JSON as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per event, in the version known last'
AS SELECT event_ticker, series_ticker, revision, title, sub_title, category, mutually_exclusive, collateral_return_type, strike_at, strike_period, climate_day, station, settlement_sources, extra, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.events FINAL
ORDER BY event_ticker, known_at DESC, revision
LIMIT 1 BY event_ticker;

CREATE VIEW IF NOT EXISTS tapefold_api.series
(
    series_ticker LowCardinality(String) COMMENT 'Kalshi series',
    revision String COMMENT 'hash of the content; other content is another revision',
    title Nullable(String) COMMENT 'as sent; NULL: not told',
    category LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    frequency LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    fee_type LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    fee_multiplier Nullable(Decimal(18, 6)) COMMENT 'as sent; NULL: not told',
    contract_url Nullable(String) COMMENT 'as sent; NULL: not told',
    contract_terms_url Nullable(String) COMMENT 'as sent; NULL: not told',
    canonical LowCardinality(Nullable(String)) COMMENT 'series that trades today, for older names; NULL: no weather',
    station LowCardinality(Nullable(String)) COMMENT 'station that settles it; NULL: no weather',
    zone LowCardinality(Nullable(String)) COMMENT 'zone of the station, IANA; NULL: no weather',
    cli LowCardinality(Nullable(String)) COMMENT 'code of its climate report; NULL: no weather',
    measure LowCardinality(Nullable(String)) COMMENT 'high or low; NULL: no weather',
    settlement_sources String COMMENT 'JSON as sent',
    extra String COMMENT 'fields that no column names, JSON as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per series, in the version known last'
AS SELECT series_ticker, revision, title, category, frequency, fee_type, fee_multiplier, contract_url, contract_terms_url, canonical, station, zone, cli, measure, settlement_sources, extra, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.series FINAL
ORDER BY series_ticker, known_at DESC, revision
LIMIT 1 BY series_ticker;

CREATE VIEW IF NOT EXISTS tapefold_api.market_polls
(
    market_ticker String COMMENT 'Kalshi market',
    status LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    yes_bid Nullable(Decimal(18, 6)) COMMENT 'best bid for yes in dollars; NULL: not told',
    yes_ask Nullable(Decimal(18, 6)) COMMENT 'best ask for yes in dollars; NULL: not told',
    no_bid Nullable(Decimal(18, 6)) COMMENT 'best bid for no in dollars; NULL: not told',
    no_ask Nullable(Decimal(18, 6)) COMMENT 'best ask for no in dollars; NULL: not told',
    last_price Nullable(Decimal(18, 6)) COMMENT 'last price of yes in dollars; NULL: not told',
    yes_bid_size Nullable(Decimal(18, 4)) COMMENT 'contracts at the best bid; NULL: not told',
    yes_ask_size Nullable(Decimal(18, 4)) COMMENT 'contracts at the best ask; NULL: not told',
    volume Nullable(Decimal(18, 4)) COMMENT 'contracts traded in all; NULL: not told',
    volume_24h Nullable(Decimal(18, 4)) COMMENT 'contracts traded in 24 h; NULL: not told',
    open_interest Nullable(Decimal(18, 4)) COMMENT 'contracts open; NULL: not told',
    extra String COMMENT 'fields that no column names, JSON as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per market and answer'
AS SELECT market_ticker, status, yes_bid, yes_ask, no_bid, no_ask, last_price, yes_bid_size, yes_ask_size, volume, volume_24h, open_interest, extra, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.market_polls FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.candles
(
    market_ticker String COMMENT 'Kalshi market',
    period_s Int64 COMMENT 'length in seconds',
    revision String COMMENT 'hash of the content; other content is another revision',
    open Nullable(Decimal(18, 6)) COMMENT 'first price; NULL: no trade',
    high Nullable(Decimal(18, 6)) COMMENT 'highest price; NULL: no trade',
    low Nullable(Decimal(18, 6)) COMMENT 'lowest price; NULL: no trade',
    close Nullable(Decimal(18, 6)) COMMENT 'last price; NULL: no trade',
    mean Nullable(Decimal(18, 6)) COMMENT 'mean price; NULL: no trade',
    previous Nullable(Decimal(18, 6)) COMMENT 'last price before; NULL: not told',
    min Nullable(Decimal(18, 6)) COMMENT 'as sent; NULL: not told',
    max Nullable(Decimal(18, 6)) COMMENT 'as sent; NULL: not told',
    yes_bid_open Nullable(Decimal(18, 6)) COMMENT 'open of the best bid for yes; NULL: no quote',
    yes_bid_high Nullable(Decimal(18, 6)) COMMENT 'high of the best bid for yes; NULL: no quote',
    yes_bid_low Nullable(Decimal(18, 6)) COMMENT 'low of the best bid for yes; NULL: no quote',
    yes_bid_close Nullable(Decimal(18, 6)) COMMENT 'close of the best bid for yes; NULL: no quote',
    yes_ask_open Nullable(Decimal(18, 6)) COMMENT 'open of the best ask for yes; NULL: no quote',
    yes_ask_high Nullable(Decimal(18, 6)) COMMENT 'high of the best ask for yes; NULL: no quote',
    yes_ask_low Nullable(Decimal(18, 6)) COMMENT 'low of the best ask for yes; NULL: no quote',
    yes_ask_close Nullable(Decimal(18, 6)) COMMENT 'close of the best ask for yes; NULL: no quote',
    volume Nullable(Decimal(18, 4)) COMMENT 'contracts; NULL: not told',
    open_interest Nullable(Decimal(18, 4)) COMMENT 'contracts open at its end; NULL: not told',
    extra String COMMENT 'fields that no column names, JSON as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per content of a candle, by its earliest telling'
AS SELECT market_ticker, period_s, revision, open, high, low, close, mean, previous, min, max, yes_bid_open, yes_bid_high, yes_bid_low, yes_bid_close, yes_ask_open, yes_ask_high, yes_ask_low, yes_ask_close, volume, open_interest, extra, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.candles FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.book_polls
(
    market_ticker String COMMENT 'Kalshi market',
    yes String COMMENT 'resting bids for yes: [[millionths of a dollar, ten-thousandths of a contract], ...]',
    no String COMMENT 'resting bids for no, likewise',
    yes_bid Nullable(Decimal(18, 6)) COMMENT 'best bid for yes in dollars; NULL: none',
    yes_ask Nullable(Decimal(18, 6)) COMMENT 'best ask for yes in dollars; NULL: none',
    extra String COMMENT 'fields that no column names, JSON as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per order book and answer'
AS SELECT market_ticker, yes, no, yes_bid, yes_ask, extra, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.book_polls FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.documents
(
    kind LowCardinality(String) COMMENT 'status, schedule, cutoff, event_metadata or listing',
    subject String COMMENT 'path that was asked for',
    body String COMMENT 'JSON as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per answer that is kept whole'
AS SELECT kind, subject, body, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.documents FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.settlement_versions
(
    market_ticker String COMMENT 'Kalshi market',
    event_ticker LowCardinality(String) COMMENT 'event it belongs to',
    status LowCardinality(String) COMMENT 'determined, disputed, amended or finalized; only the last is final',
    result LowCardinality(Nullable(String)) COMMENT 'yes, no or scalar; NULL: not told',
    expiration_value Nullable(String) COMMENT 'value that decided, as sent; NULL: not told',
    expiration_number Nullable(Decimal(18, 6)) COMMENT 'the same where it is a number; NULL: it is none',
    settlement_value Nullable(Decimal(18, 6)) COMMENT 'dollars per yes contract; NULL: not told',
    settled_at Nullable(DateTime64(9, 'UTC')) COMMENT 'settlement; NULL: not told',
    climate_day LowCardinality(Nullable(String)) COMMENT 'climate day, YYYY-MM-DD, midnight to midnight standard time; NULL: no weather',
    station LowCardinality(Nullable(String)) COMMENT 'station that settles it; NULL: no weather',
    settlement_source LowCardinality(Nullable(String)) COMMENT 'nws or twc, by the rules; NULL: they name neither',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per content of an outcome, by its earliest telling'
AS SELECT market_ticker, event_ticker, status, result, expiration_value, expiration_number, settlement_value, settled_at, climate_day, station, settlement_source, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.settlements FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.settlements
(
    market_ticker String COMMENT 'Kalshi market',
    final Bool COMMENT 'nothing changes it any more; otherwise it may be disputed and amended',
    status LowCardinality(String) COMMENT 'of the market, or the announcement: determined, disputed, amended, settled, finalized',
    result LowCardinality(Nullable(String)) COMMENT 'yes, no or scalar; NULL: not told',
    expiration_value Nullable(String) COMMENT 'value that decided, as sent; NULL: not told, announcements do not',
    settlement_value Nullable(Decimal(18, 6)) COMMENT 'dollars per yes contract; NULL: not told',
    settled_at Nullable(DateTime64(9, 'UTC')) COMMENT 'settlement; NULL: not told',
    climate_day LowCardinality(Nullable(String)) COMMENT 'climate day, YYYY-MM-DD; NULL: no weather, or an announcement',
    station LowCardinality(Nullable(String)) COMMENT 'station; NULL: no weather, or an announcement',
    settlement_source LowCardinality(Nullable(String)) COMMENT 'nws or twc, by the rules; NULL: they name neither, or an announcement',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per market with an outcome: the final one, else the one known last; from answers and from announcements'
AS SELECT market_ticker, final, status, result, expiration_value, settlement_value, settled_at, climate_day, station,
    settlement_source, known_at, known_by, cause_topic, cause_partition, cause_offset, cause_index
FROM
(
    SELECT market_ticker, status = 'finalized' AS final, status, result, expiration_value, settlement_value, settled_at,
        climate_day, station, settlement_source, known_at, known_by, cause_topic, cause_partition, cause_offset, cause_index
    FROM tapefold.settlements FINAL
    UNION ALL
    SELECT market_ticker, event_type = 'settled' AS final, event_type AS status, result, NULL AS expiration_value,
        settlement_value, settled_at, NULL AS climate_day, NULL AS station, NULL AS settlement_source, known_at, known_by,
        cause_topic, cause_partition, cause_offset, cause_index
    FROM tapefold.market_events FINAL
    WHERE event_type IN ('determined', 'settled')
)
ORDER BY market_ticker, final DESC, isNotNull(result) DESC, known_at DESC, cause_topic, cause_partition, cause_offset, cause_index
LIMIT 1 BY market_ticker;

DROP VIEW IF EXISTS tapefold_api.trades;

CREATE VIEW IF NOT EXISTS tapefold_api.trades
(
    trade_id String COMMENT 'the exchange\'s id of the trade',
    market_ticker String COMMENT 'Kalshi market',
    yes_price Decimal(18, 6) COMMENT 'price of yes in dollars',
    no_price Decimal(18, 6) COMMENT 'price of no in dollars',
    size Decimal(18, 4) COMMENT 'contracts',
    taker_outcome_side LowCardinality(Nullable(String)) COMMENT 'outcome the taker bought; NULL: not told',
    taker_book_side LowCardinality(Nullable(String)) COMMENT 'bid or ask; NULL: not told',
    is_block_trade Nullable(Bool) COMMENT 'block trade; NULL: not told',
    extra String COMMENT 'fields that no other column names, JSON as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, by the exchange\'s clock',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    seq Nullable(Int64) COMMENT 'number within the subscription; NULL: the channel has none',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per trade: the earliest telling of it that may be used'
AS SELECT trade_id, market_ticker, yes_price, no_price, size, taker_outcome_side, taker_book_side, is_block_trade,
    extra, event_at, received_at, known_at, known_by, conn, sid, seq, cause_topic, cause_partition, cause_offset,
    cause_index
FROM tapefold.trades FINAL;
