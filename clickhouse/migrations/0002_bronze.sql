-- The raw topics, byte for byte. Every offset stands here exactly once.

CREATE TABLE IF NOT EXISTS tapefold.raw_records
(
    _topic LowCardinality(String) COMMENT 'topic',
    _topic_id LowCardinality(String) COMMENT 'the log\'s own id of the topic; empty: not told',
    _partition UInt32 COMMENT 'partition',
    _offset UInt64 COMMENT 'offset within the partition' CODEC(Delta, ZSTD(1)),
    _timestamp DateTime64(9, 'UTC') COMMENT 'the writer\'s time of the record, exact to the millisecond' CODEC(Delta, ZSTD(1)),
    _key Nullable(String) COMMENT 'key bytes; NULL: the record has no key',
    _headers Map(LowCardinality(String), String) COMMENT 'headers as sent, in order; a repeated name stands repeated',
    value String COMMENT 'the bytes as received' CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(_timestamp)
ORDER BY (_topic, _partition, _offset)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Records of the raw topics as they stand on the log';
