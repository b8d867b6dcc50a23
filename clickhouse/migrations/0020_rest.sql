-- What Kalshi's REST answers state: series, events, contracts and outcomes of markets, quotes, candles, books.

ALTER TABLE tapefold.trades ADD COLUMN IF NOT EXISTS
    extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

CREATE TABLE IF NOT EXISTS tapefold.market_terms
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
    rules_primary Nullable(String) COMMENT 'as sent; NULL: not told' CODEC(ZSTD(3)),
    rules_secondary Nullable(String) COMMENT 'as sent; NULL: not told' CODEC(ZSTD(3)),
    price_level_structure LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    price_ranges String COMMENT 'valid prices, JSON as sent',
    climate_day LowCardinality(Nullable(String)) COMMENT 'climate day, YYYY-MM-DD, midnight to midnight standard time; NULL: no weather',
    station LowCardinality(Nullable(String)) COMMENT 'station that settles it; NULL: no weather',
    cli LowCardinality(Nullable(String)) COMMENT 'climate report that the rules name; NULL: they name none',
    measure LowCardinality(Nullable(String)) COMMENT 'high or low; NULL: no weather',
    settlement_source LowCardinality(Nullable(String)) COMMENT 'nws or twc, by the rules; NULL: they name neither',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- the winner is the smallest (known_at, topic, partition, offset, index), as in 0003: ReplacingMergeTree keeps the largest
    _rank UInt256 MATERIALIZED bitNot(
        bitShiftLeft(toUInt256(toUnixTimestamp64Nano(known_at)), 192)
        + bitShiftLeft(toUInt256(reinterpretAsUInt128(reverse(toFixedString(substring(cause_topic, 1, 13), 16)))), 64)
        + bitShiftLeft(toUInt256(cause_partition), 72)
        + bitShiftLeft(toUInt256(cause_offset), 24)
        + toUInt256(cause_index)
    ) COMMENT 'the larger, the earlier the telling'
)
ENGINE = ReplacingMergeTree(_rank)
ORDER BY (market_ticker, updated_at, revision)
SETTINGS allow_nullable_key = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Contracts of markets: every content that was told, by its earliest telling';

CREATE TABLE IF NOT EXISTS tapefold.market_polls
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
    extra String COMMENT 'fields that no column names, JSON as sent' CODEC(ZSTD(3)),
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- the winner is the smallest (known_at, topic, partition, offset, index), as in 0003: ReplacingMergeTree keeps the largest
    _rank UInt256 MATERIALIZED bitNot(
        bitShiftLeft(toUInt256(toUnixTimestamp64Nano(known_at)), 192)
        + bitShiftLeft(toUInt256(reinterpretAsUInt128(reverse(toFixedString(substring(cause_topic, 1, 13), 16)))), 64)
        + bitShiftLeft(toUInt256(cause_partition), 72)
        + bitShiftLeft(toUInt256(cause_offset), 24)
        + toUInt256(cause_index)
    ) COMMENT 'the larger, the earlier the telling'
)
ENGINE = ReplacingMergeTree(_rank)
PARTITION BY toYYYYMM(event_at)
ORDER BY (market_ticker, event_at, cause_topic, cause_partition, cause_offset, cause_index)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What moved in markets, as answers told it';

CREATE TABLE IF NOT EXISTS tapefold.settlements
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
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- the winner is the smallest (known_at, topic, partition, offset, index), as in 0003: ReplacingMergeTree keeps the largest
    _rank UInt256 MATERIALIZED bitNot(
        bitShiftLeft(toUInt256(toUnixTimestamp64Nano(known_at)), 192)
        + bitShiftLeft(toUInt256(reinterpretAsUInt128(reverse(toFixedString(substring(cause_topic, 1, 13), 16)))), 64)
        + bitShiftLeft(toUInt256(cause_partition), 72)
        + bitShiftLeft(toUInt256(cause_offset), 24)
        + toUInt256(cause_index)
    ) COMMENT 'the larger, the earlier the telling'
)
ENGINE = ReplacingMergeTree(_rank)
ORDER BY (market_ticker, status, result, expiration_value, settlement_value)
SETTINGS allow_nullable_key = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Outcomes of markets: every content that was told, by its earliest telling';

CREATE TABLE IF NOT EXISTS tapefold.events
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
    extra String COMMENT 'fields that no column names, JSON as sent' CODEC(ZSTD(3)),
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- the winner is the smallest (known_at, topic, partition, offset, index), as in 0003: ReplacingMergeTree keeps the largest
    _rank UInt256 MATERIALIZED bitNot(
        bitShiftLeft(toUInt256(toUnixTimestamp64Nano(known_at)), 192)
        + bitShiftLeft(toUInt256(reinterpretAsUInt128(reverse(toFixedString(substring(cause_topic, 1, 13), 16)))), 64)
        + bitShiftLeft(toUInt256(cause_partition), 72)
        + bitShiftLeft(toUInt256(cause_offset), 24)
        + toUInt256(cause_index)
    ) COMMENT 'the larger, the earlier the telling'
)
ENGINE = ReplacingMergeTree(_rank)
ORDER BY (event_ticker, revision)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Events: every content that was told, by its earliest telling';

CREATE TABLE IF NOT EXISTS tapefold.series
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
    extra String COMMENT 'fields that no column names, JSON as sent' CODEC(ZSTD(3)),
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- the winner is the smallest (known_at, topic, partition, offset, index), as in 0003: ReplacingMergeTree keeps the largest
    _rank UInt256 MATERIALIZED bitNot(
        bitShiftLeft(toUInt256(toUnixTimestamp64Nano(known_at)), 192)
        + bitShiftLeft(toUInt256(reinterpretAsUInt128(reverse(toFixedString(substring(cause_topic, 1, 13), 16)))), 64)
        + bitShiftLeft(toUInt256(cause_partition), 72)
        + bitShiftLeft(toUInt256(cause_offset), 24)
        + toUInt256(cause_index)
    ) COMMENT 'the larger, the earlier the telling'
)
ENGINE = ReplacingMergeTree(_rank)
ORDER BY (series_ticker, revision)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Series: every content that was told, by its earliest telling';

CREATE TABLE IF NOT EXISTS tapefold.candles
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
    extra String COMMENT 'fields that no column names, JSON as sent' CODEC(ZSTD(3)),
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- the winner is the smallest (known_at, topic, partition, offset, index), as in 0003: ReplacingMergeTree keeps the largest
    _rank UInt256 MATERIALIZED bitNot(
        bitShiftLeft(toUInt256(toUnixTimestamp64Nano(known_at)), 192)
        + bitShiftLeft(toUInt256(reinterpretAsUInt128(reverse(toFixedString(substring(cause_topic, 1, 13), 16)))), 64)
        + bitShiftLeft(toUInt256(cause_partition), 72)
        + bitShiftLeft(toUInt256(cause_offset), 24)
        + toUInt256(cause_index)
    ) COMMENT 'the larger, the earlier the telling'
)
ENGINE = ReplacingMergeTree(_rank)
PARTITION BY toYYYYMM(event_at)
ORDER BY (market_ticker, period_s, event_at, revision)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'The exchange\'s own candles; event_at is the inclusive end. Every content that was told, by its earliest telling';

CREATE TABLE IF NOT EXISTS tapefold.book_polls
(
    market_ticker String COMMENT 'Kalshi market',
    yes String COMMENT 'resting bids for yes: [[millionths of a dollar, ten-thousandths of a contract], ...]' CODEC(ZSTD(3)),
    no String COMMENT 'resting bids for no, likewise' CODEC(ZSTD(3)),
    yes_bid Nullable(Decimal(18, 6)) COMMENT 'best bid for yes in dollars; NULL: none',
    yes_ask Nullable(Decimal(18, 6)) COMMENT 'best ask for yes in dollars; NULL: none',
    extra String COMMENT 'fields that no column names, JSON as sent' CODEC(ZSTD(3)),
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- the winner is the smallest (known_at, topic, partition, offset, index), as in 0003: ReplacingMergeTree keeps the largest
    _rank UInt256 MATERIALIZED bitNot(
        bitShiftLeft(toUInt256(toUnixTimestamp64Nano(known_at)), 192)
        + bitShiftLeft(toUInt256(reinterpretAsUInt128(reverse(toFixedString(substring(cause_topic, 1, 13), 16)))), 64)
        + bitShiftLeft(toUInt256(cause_partition), 72)
        + bitShiftLeft(toUInt256(cause_offset), 24)
        + toUInt256(cause_index)
    ) COMMENT 'the larger, the earlier the telling'
)
ENGINE = ReplacingMergeTree(_rank)
PARTITION BY toYYYYMM(event_at)
ORDER BY (market_ticker, event_at, cause_topic, cause_partition, cause_offset, cause_index)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Order books as answers told them, up to 15 s old';

CREATE TABLE IF NOT EXISTS tapefold.documents
(
    kind LowCardinality(String) COMMENT 'status, schedule, cutoff, event_metadata or listing',
    subject String COMMENT 'path that was asked for',
    body String COMMENT 'JSON as sent' CODEC(ZSTD(3)),
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- the winner is the smallest (known_at, topic, partition, offset, index), as in 0003: ReplacingMergeTree keeps the largest
    _rank UInt256 MATERIALIZED bitNot(
        bitShiftLeft(toUInt256(toUnixTimestamp64Nano(known_at)), 192)
        + bitShiftLeft(toUInt256(reinterpretAsUInt128(reverse(toFixedString(substring(cause_topic, 1, 13), 16)))), 64)
        + bitShiftLeft(toUInt256(cause_partition), 72)
        + bitShiftLeft(toUInt256(cause_offset), 24)
        + toUInt256(cause_index)
    ) COMMENT 'the larger, the earlier the telling'
)
ENGINE = ReplacingMergeTree(_rank)
PARTITION BY toYYYYMM(event_at)
ORDER BY (kind, subject, event_at, cause_topic, cause_partition, cause_offset, cause_index)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Answers that are kept whole: exchange status and schedule, historical cutoff, metadata of events';
