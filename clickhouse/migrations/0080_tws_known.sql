-- TWS as known at a time t: every finished telling of a minute, and what held of them at t.

CREATE TABLE IF NOT EXISTS tapefold.tws_tellings
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
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    _content UInt64 MATERIALIZED sipHash64(
        open, high, low, close, ifNull(toString(volume), '-'), ifNull(toString(average), '-'), ifNull(toString(count), '-')
    ) COMMENT 'of the values: another content is another revision'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (symbol, minute, con_id, what_to_show, use_rth, known_at, cause_topic, cause_partition, cause_offset, cause_index)
SETTINGS allow_nullable_key = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Every telling of every finished minute of TWS: raw_tws_bars keeps one of each content, and forgets what was taken back';

-- The same choice as the fold's: the latest content, since the first telling of it after the last one of another.
CREATE VIEW IF NOT EXISTS tapefold_api.curated_tws_1m_bars_known
AS SELECT symbol, con_id, what_to_show, use_rth, minute, tupleElement(held.6, 1) AS open, tupleElement(held.6, 2) AS high,
    tupleElement(held.6, 3) AS low, tupleElement(held.6, 4) AS close, tupleElement(held.6, 5) AS volume,
    tupleElement(held.6, 6) AS average, tupleElement(held.6, 7) AS count, contents,
    fromUnixTimestamp64Nano(held.1, 'UTC') AS known_at, held.7 AS known_by, rev, row_id, held.2 AS cause_topic,
    held.3 AS cause_partition, held.4 AS cause_offset, held.5 AS cause_index
FROM (
    SELECT symbol, con_id, what_to_show, use_rth, minute,
        arraySort(told -> (told.1, told.2, told.3, told.4, told.5), groupArray(tuple(
            toUnixTimestamp64Nano(known_at), toString(cause_topic), cause_partition, cause_offset, cause_index,
            tuple(open, high, low, close, volume, average, count), toString(known_by), _content
        ))) AS tellings,
        tellings[arrayLastIndex(told -> told.8 != tellings[-1].8, tellings) + 1] AS held,
        toUInt32(length(arrayDistinct(tellings.8))) AS contents, toUInt64(length(tellings)) AS rev,
        substring(lower(hex(SHA256(concat(
            symbol, '/', ifNull(toString(con_id), 'None'), '/', what_to_show, '/',
            multiIf(use_rth IS NULL, 'None', use_rth, 'True', 'False'), '/', toString(toUnixTimestamp64Nano(minute))
        )))), 1, 32) AS row_id
    FROM tapefold.tws_tellings FINAL
    WHERE known_at <= {t:DateTime64(9, 'UTC')}
    GROUP BY symbol, con_id, what_to_show, use_rth, minute
)
COMMENT 'Parameter t: minutes of TWS as they held then, from tellings known by then';

CREATE VIEW IF NOT EXISTS tapefold_api.raw_tws_bars_known AS
SELECT * FROM tapefold_api.raw_tws_bars WHERE known_at <= {t:DateTime64(9, 'UTC')}
COMMENT 'Parameter t: every content of every bar that was told by then';
