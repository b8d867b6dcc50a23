-- Facts by identity: a fact that is told again at another offset replaces itself.

CREATE TABLE IF NOT EXISTS tapefold.trades
(
    trade_id String COMMENT 'the exchange\'s id of the trade',
    yes_price Decimal(18, 6) COMMENT 'price of yes in dollars',
    no_price Decimal(18, 6) COMMENT 'price of no in dollars',
    size Decimal(18, 4) COMMENT 'contracts',
    taker_outcome_side LowCardinality(Nullable(String)) COMMENT 'outcome the taker bought; NULL: not told',
    taker_book_side LowCardinality(Nullable(String)) COMMENT 'bid or ask; NULL: not told',
    is_block_trade Nullable(Bool) COMMENT 'block trade; NULL: not told',
    market_ticker String COMMENT 'Kalshi market',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, by the exchange\'s clock' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    seq Nullable(Int64) COMMENT 'number within the subscription; NULL: the channel has none',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- ReplacingMergeTree keeps the largest version, the winner is the smallest (known_at, topic, partition, offset,
    -- index): the five side by side in 8 + 13 + 2 + 6 + 3 bytes, all bits turned. A test holds raw topics apart by 13 bytes.
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
ORDER BY (market_ticker, trade_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Trades by every delivery; one trade told twice keeps the telling with the smallest (known_at, cause)';

CREATE TABLE IF NOT EXISTS tapefold.market_ticks
(
    price Decimal(18, 6) COMMENT 'last price of yes in dollars',
    yes_bid Decimal(18, 6) COMMENT 'best bid for yes in dollars',
    yes_ask Decimal(18, 6) COMMENT 'best ask for yes in dollars',
    volume Decimal(18, 4) COMMENT 'contracts traded in all',
    open_interest Decimal(18, 4) COMMENT 'contracts open',
    yes_bid_size Nullable(Decimal(18, 4)) COMMENT 'contracts at the best bid; NULL: not told',
    yes_ask_size Nullable(Decimal(18, 4)) COMMENT 'contracts at the best ask; NULL: not told',
    last_trade_size Nullable(Decimal(18, 4)) COMMENT 'contracts of the last trade; NULL: not told',
    dollar_volume Nullable(Int64) COMMENT 'as sent; NULL: not told',
    dollar_open_interest Nullable(Int64) COMMENT 'as sent; NULL: not told',
    market_id Nullable(String) COMMENT 'the exchange\'s id of the market; NULL: not told',
    extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3)),
    market_ticker String COMMENT 'Kalshi market',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, by the exchange\'s clock' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    seq Nullable(Int64) COMMENT 'number within the subscription; NULL: the channel has none',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    _content UInt64 MATERIALIZED cityHash64(toString(tuple(
        price, yes_bid, yes_ask, volume, open_interest, yes_bid_size, yes_ask_size, last_trade_size, dollar_volume,
        dollar_open_interest, market_id, extra
    ))) COMMENT 'what it says, as a hash',
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
ORDER BY (market_ticker, event_at, _content)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Ticker frames: last price, best quotes, sizes; one told twice keeps its earliest telling';

CREATE TABLE IF NOT EXISTS tapefold.market_events
(
    event_type LowCardinality(String) COMMENT 'what was announced',
    open_at Nullable(DateTime64(9, 'UTC')) COMMENT 'opening; NULL: not told',
    close_at Nullable(DateTime64(9, 'UTC')) COMMENT 'close; NULL: not told',
    determination_at Nullable(DateTime64(9, 'UTC')) COMMENT 'determination; NULL: not told',
    settled_at Nullable(DateTime64(9, 'UTC')) COMMENT 'settlement; NULL: not told',
    result LowCardinality(Nullable(String)) COMMENT 'outcome; NULL: not told',
    settlement_value Nullable(Decimal(18, 6)) COMMENT 'dollars per yes contract; NULL: not told',
    terms String COMMENT 'rest of the frame, JSON as sent' CODEC(ZSTD(3)),
    extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3)),
    market_ticker String COMMENT 'Kalshi market',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, by the exchange\'s clock' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    seq Nullable(Int64) COMMENT 'number within the subscription; NULL: the channel has none',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    _number String MATERIALIZED if(isNull(seq), concat(cause_topic, '/', toString(cause_partition), '/', toString(cause_offset), '/', toString(cause_index)), toString(seq))
        COMMENT 'which one of its session: the same frame twice has one number; without numbers each is its own',
    _rank UInt256 MATERIALIZED bitNot(
        bitShiftLeft(toUInt256(toUnixTimestamp64Nano(known_at)), 192)
        + bitShiftLeft(toUInt256(reinterpretAsUInt128(reverse(toFixedString(substring(cause_topic, 1, 13), 16)))), 64)
        + bitShiftLeft(toUInt256(cause_partition), 72)
        + bitShiftLeft(toUInt256(cause_offset), 24)
        + toUInt256(cause_index)
    ) COMMENT 'the larger, the earlier the telling'
)
ENGINE = ReplacingMergeTree(_rank)
ORDER BY (market_ticker, conn, sid, _number)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Lifecycle of markets as announced, by session; a frame that came twice keeps its earliest telling';

CREATE TABLE IF NOT EXISTS tapefold.coverage
(
    source LowCardinality(String) COMMENT 'producer',
    channel LowCardinality(String) COMMENT 'channel of the exchange',
    started_at DateTime64(9, 'UTC') COMMENT 'recorded from here on' CODEC(Delta, ZSTD(1)),
    ended_at Nullable(DateTime64(9, 'UTC')) COMMENT 'recorded until here; NULL: no end is known',
    ended_by LowCardinality(Nullable(String)) COMMENT 'stop: on purpose, gap: lost; NULL: no end is known',
    market_ticker String COMMENT 'Kalshi market',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, by the exchange\'s clock' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    seq Nullable(Int64) COMMENT 'number within the subscription; NULL: the channel has none',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- a row with an end replaces the one without; of two ends the earlier one holds, as no more than that is proven
    _rank UInt64 MATERIALIZED if(isNull(ended_at), 0, bitNot(toUInt64(toUnixTimestamp64Nano(assumeNotNull(ended_at)))))
        COMMENT '0: open; else the larger, the earlier the end'
)
ENGINE = ReplacingMergeTree(_rank)
PARTITION BY toYYYYMM(started_at)
ORDER BY (conn, sid, channel, market_ticker, started_at)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Intervals in which a connection recorded a channel of a market';

CREATE TABLE IF NOT EXISTS tapefold.beats
(
    source LowCardinality(String) COMMENT 'producer',
    conn LowCardinality(String) COMMENT 'connection',
    raw_partition UInt32 COMMENT 'raw partition that the beat stood on',
    clock_at DateTime64(9, 'UTC') COMMENT 'the producer\'s clock' CODEC(Delta, ZSTD(1)),
    lease_ns Int64 COMMENT 'after this much silence nobody needs to wait for it',
    bye Bool COMMENT 'the connection is gone for good',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(clock_at)
ORDER BY (conn, source, raw_partition)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'The latest word of each connection on each raw partition: its clock, and that all before it stands on the log';
