-- Databases, and what the migrator and the sink write of themselves.

CREATE DATABASE IF NOT EXISTS tapefold COMMENT 'Tables as the sink fills them';

CREATE DATABASE IF NOT EXISTS tapefold_api COMMENT 'What users read: exact views of the tables in tapefold';

CREATE TABLE IF NOT EXISTS tapefold.schema_migrations
(
    version UInt32 COMMENT 'number of the file',
    name String COMMENT 'name of the file',
    sha256 String COMMENT 'of its text when it was applied; a file that changes later is refused',
    applied_at DateTime64(9, 'UTC') COMMENT 'when it was applied'
)
-- the hash is part of the order: two migrators with different texts leave two rows, and the next one sees it
ENGINE = ReplacingMergeTree
ORDER BY (version, sha256)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Migrations that were applied';

CREATE TABLE IF NOT EXISTS tapefold.sink_commits
(
    sink LowCardinality(String) COMMENT 'name of the sink',
    cluster LowCardinality(String) COMMENT 'id of the log cluster; empty: not told',
    topic LowCardinality(String) COMMENT 'topic',
    topic_id LowCardinality(String) COMMENT 'the log\'s own id of the topic; empty: not told',
    partition UInt32 COMMENT 'partition',
    first UInt64 COMMENT 'the batch holds the offsets [first, next)',
    next UInt64 COMMENT 'where the sink goes on',
    rows UInt64 COMMENT 'records in the range; fewer than next - first where offsets are missing on the log',
    tail_at DateTime64(9, 'UTC') COMMENT 'timestamp of the last record',
    tail_crc32 UInt32 COMMENT 'CRC-32 of key and value of the last record',
    at DateTime64(9, 'UTC') COMMENT 'when the sink committed'
)
ENGINE = MergeTree
ORDER BY (sink, topic, partition, next)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'One row per batch and partition, written after its rows were read back: the position of the sink';
