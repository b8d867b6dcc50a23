-- Minutes of TWS, curated: of all finished tellings of a bar the one that holds.

CREATE TABLE IF NOT EXISTS tapefold.curated_tws_1m_bars
(
    symbol LowCardinality(String) COMMENT 'name under which the user knows the contract',
    con_id Nullable(Int64) COMMENT 'Interactive Brokers\' id of the contract; NULL: not told',
    what_to_show LowCardinality(String) COMMENT 'TRADES, MIDPOINT, BID, ASK, BID_ASK or ADJUSTED_LAST',
    use_rth Nullable(Bool) COMMENT 'regular trading hours only; NULL: not told',
    minute DateTime64(9, 'UTC') COMMENT 'start of the minute' CODEC(Delta, ZSTD(1)),
    open Decimal(18, 6) COMMENT 'first price',
    high Decimal(18, 6) COMMENT 'highest price',
    low Decimal(18, 6) COMMENT 'lowest price',
    close Decimal(18, 6) COMMENT 'last price',
    volume Nullable(Decimal(18, 4)) COMMENT 'units traded; NULL: these bars have none',
    average Nullable(Decimal(18, 6)) COMMENT 'volume-weighted price; NULL: these bars have none',
    count Nullable(Int64) COMMENT 'trades; NULL: these bars have none',
    contents UInt32 COMMENT 'distinct contents that were told; above 1 it was corrected',
    known_at DateTime64(9, 'UTC') COMMENT 'since when this content holds; no decision before may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    rev UInt64 COMMENT 'revision: finished tellings folded in',
    row_id String COMMENT 'identity of the bar; the same for all its revisions',
    cause_topic LowCardinality(String) COMMENT 'raw topic of the telling that holds',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(rev)
PARTITION BY toYYYYMM(minute)
ORDER BY (symbol, minute, row_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Minutes of TWS that hold, the revisions not yet merged away';

CREATE VIEW IF NOT EXISTS tapefold_api.curated_tws_1m_bars
(
    symbol LowCardinality(String) COMMENT 'name under which the user knows the contract',
    con_id Nullable(Int64) COMMENT 'Interactive Brokers\' id of the contract; NULL: not told',
    what_to_show LowCardinality(String) COMMENT 'TRADES, MIDPOINT, BID, ASK, BID_ASK or ADJUSTED_LAST',
    use_rth Nullable(Bool) COMMENT 'regular trading hours only; NULL: not told',
    minute DateTime64(9, 'UTC') COMMENT 'start of the minute',
    open Decimal(18, 6) COMMENT 'first price',
    high Decimal(18, 6) COMMENT 'highest price',
    low Decimal(18, 6) COMMENT 'lowest price',
    close Decimal(18, 6) COMMENT 'last price',
    volume Nullable(Decimal(18, 4)) COMMENT 'units traded; NULL: these bars have none',
    average Nullable(Decimal(18, 6)) COMMENT 'volume-weighted price; NULL: these bars have none',
    count Nullable(Int64) COMMENT 'trades; NULL: these bars have none',
    contents UInt32 COMMENT 'distinct contents that were told; above 1 it was corrected',
    known_at DateTime64(9, 'UTC') COMMENT 'since when this content holds; no decision before may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    rev UInt64 COMMENT 'revision: finished tellings folded in',
    row_id String COMMENT 'identity of the bar; the same for all its revisions',
    cause_topic LowCardinality(String) COMMENT 'raw topic of the telling that holds',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per finished minute of TWS: the content that holds'
AS SELECT symbol, con_id, what_to_show, use_rth, minute, open, high, low, close, volume, average, count, contents,
    known_at, known_by, rev, row_id, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.curated_tws_1m_bars FINAL;
