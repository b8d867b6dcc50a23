-- What the fold derives, and what was refused.

CREATE TABLE IF NOT EXISTS tapefold.books
(
    market_ticker String COMMENT 'Kalshi market',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    seq Int64 COMMENT 'number within the subscription',
    kind LowCardinality(String) COMMENT 'snapshot, delta or gap',
    side LowCardinality(Nullable(String)) COMMENT 'side that changed; NULL: all',
    price Nullable(Decimal(18, 6)) COMMENT 'level that changed in dollars; NULL: all',
    delta Nullable(Decimal(18, 4)) COMMENT 'contracts added to the level; NULL: all',
    trusted Bool COMMENT 'no number was missing since the last snapshot',
    yes_bid Nullable(Decimal(18, 6)) COMMENT 'best bid for yes in dollars; NULL: none, or not known',
    yes_ask Nullable(Decimal(18, 6)) COMMENT 'best ask for yes in dollars; NULL: none, or not known',
    yes_bid_size Nullable(Decimal(18, 4)) COMMENT 'contracts at the best bid; NULL: none, or not known',
    yes_ask_size Nullable(Decimal(18, 4)) COMMENT 'contracts at the best ask; NULL: none, or not known',
    row_id String COMMENT 'identity of the row',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, by the exchange\'s clock' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    INDEX by_event_at event_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_at)
ORDER BY (market_ticker, conn, sid, seq, kind)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Best levels after each change of a book, by session';

CREATE TABLE IF NOT EXISTS tapefold.bars_1m
(
    market_ticker String COMMENT 'Kalshi market',
    minute DateTime64(9, 'UTC') COMMENT 'start of the minute, UTC' CODEC(Delta, ZSTD(1)),
    open Nullable(Decimal(18, 6)) COMMENT 'yes price of the first trade in dollars; NULL: no trade',
    high Nullable(Decimal(18, 6)) COMMENT 'highest yes price; NULL: no trade',
    low Nullable(Decimal(18, 6)) COMMENT 'lowest yes price; NULL: no trade',
    close Nullable(Decimal(18, 6)) COMMENT 'yes price of the last trade; NULL: no trade',
    volume Decimal(18, 4) COMMENT 'contracts traded',
    trades UInt32 COMMENT 'number of trades',
    yes_bid Nullable(Decimal(18, 6)) COMMENT 'best bid for yes at the end of the minute; NULL: no trusted quote',
    yes_ask Nullable(Decimal(18, 6)) COMMENT 'best ask for yes at the end of the minute; NULL: no trusted quote',
    closed Bool COMMENT 'the watermark has passed the minute',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use this revision' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    rev UInt64 COMMENT 'revision; grows with the set of facts folded in',
    row_id String COMMENT 'identity of the bar; the same for all its revisions',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(rev)
PARTITION BY toYYYYMM(minute)
ORDER BY (market_ticker, minute)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'One-minute bars, the revisions not yet merged away';

CREATE TABLE IF NOT EXISTS tapefold.bars_1m_journal
(
    market_ticker String COMMENT 'Kalshi market',
    minute DateTime64(9, 'UTC') COMMENT 'start of the minute, UTC' CODEC(Delta, ZSTD(1)),
    open Nullable(Decimal(18, 6)) COMMENT 'yes price of the first trade in dollars; NULL: no trade',
    high Nullable(Decimal(18, 6)) COMMENT 'highest yes price; NULL: no trade',
    low Nullable(Decimal(18, 6)) COMMENT 'lowest yes price; NULL: no trade',
    close Nullable(Decimal(18, 6)) COMMENT 'yes price of the last trade; NULL: no trade',
    volume Decimal(18, 4) COMMENT 'contracts traded',
    trades UInt32 COMMENT 'number of trades',
    yes_bid Nullable(Decimal(18, 6)) COMMENT 'best bid for yes at the end of the minute; NULL: no trusted quote',
    yes_ask Nullable(Decimal(18, 6)) COMMENT 'best ask for yes at the end of the minute; NULL: no trusted quote',
    closed Bool COMMENT 'the watermark has passed the minute',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use this revision' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    rev UInt64 COMMENT 'revision; grows with the set of facts folded in',
    row_id String COMMENT 'identity of the bar; the same for all its revisions',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (market_ticker, minute, row_id, rev)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Every published revision of every bar; which ones were published depends on batch cuts';

CREATE TABLE IF NOT EXISTS tapefold.gaps
(
    market_ticker String COMMENT 'Kalshi market',
    kind LowCardinality(String) COMMENT 'how it was lost',
    source LowCardinality(String) COMMENT 'producer',
    channel LowCardinality(String) COMMENT 'channel of the exchange',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    from_seq Nullable(Int64) COMMENT 'first missing number; NULL: unknown',
    to_seq Nullable(Int64) COMMENT 'last missing number; NULL: the subscription ended',
    noticed_at DateTime64(9, 'UTC') COMMENT 'when the producer noticed' CODEC(Delta, ZSTD(1)),
    repaired_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when a snapshot mended the book; NULL: not yet',
    row_id String COMMENT 'identity of the gap',
    rev UInt64 COMMENT '1: open, 2: repaired',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(rev)
PARTITION BY toYYYYMM(noticed_at)
ORDER BY (market_ticker, row_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What was not recorded, and when a snapshot mended it';

CREATE TABLE IF NOT EXISTS tapefold.dead
(
    reason LowCardinality(String) COMMENT 'why, from a closed list',
    detail String COMMENT 'expected what, was what',
    stage LowCardinality(String) COMMENT 'ingest, fold or sink',
    code_version LowCardinality(String) COMMENT 'version of the code that refused it',
    received_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when the recorder received it; NULL: it does not say',
    value_text String COMMENT 'first 4 KiB of the value, escaped' CODEC(ZSTD(3)),
    cause_topic LowCardinality(String) COMMENT 'topic of the refused record',
    cause_partition UInt32 COMMENT 'partition of the refused record',
    cause_offset UInt64 COMMENT 'offset of the refused record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the refused record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (cause_topic, cause_partition, cause_offset, cause_index, stage, reason)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Refused records: why, by which code, and where they stand on the log';
