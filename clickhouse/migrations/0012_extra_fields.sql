-- What newer code says and this code does not know is kept, not dropped.

CREATE TABLE IF NOT EXISTS tapefold.extra_fields
(
    extra String COMMENT 'the fields that the code which wrote the row did not know, JSON, as sent' CODEC(ZSTD(3)),
    event_type LowCardinality(String) COMMENT 'type of the event that had them',
    schema_version LowCardinality(String) COMMENT 'schema version that the record told; empty: none',
    _topic LowCardinality(String) COMMENT 'topic of the record; its row in another table has the same three',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (_topic, _partition, _offset)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Unknown fields of facts and derived rows, whatever table their row went to';

CREATE VIEW IF NOT EXISTS tapefold_api.extra_fields
(
    extra String COMMENT 'the fields that the code which wrote the row did not know, JSON, as sent',
    event_type LowCardinality(String) COMMENT 'type of the event that had them',
    schema_version LowCardinality(String) COMMENT 'schema version that the record told; empty: none',
    _topic LowCardinality(String) COMMENT 'topic of the record; its row in another table has the same three',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record'
)
AS SELECT extra, event_type, schema_version, _topic, _partition, _offset FROM tapefold.extra_fields FINAL
COMMENT 'Unknown fields of facts and derived rows, whatever table their row went to';
