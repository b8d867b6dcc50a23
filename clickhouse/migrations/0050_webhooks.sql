-- Webhooks by identity: provider, event id and content. One told twice keeps the telling known first.

CREATE TABLE IF NOT EXISTS tapefold.webhook_events
(
    provider LowCardinality(String) COMMENT 'who sent it',
    event_id String COMMENT 'the sender\'s id of the event, the same on every delivery',
    event_type LowCardinality(Nullable(String)) COMMENT 'what happened; NULL: not told',
    object_id Nullable(String) COMMENT 'what it happened to; NULL: not told',
    scheme LowCardinality(String) COMMENT 'how it was signed: standard or stripe',
    event_by LowCardinality(String) COMMENT 'where event_at stands: payload, signed or received',
    signed_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when it was signed; NULL: the signature was not verified',
    verified Bool COMMENT 'the signature was verified',
    content String COMMENT 'digest of what is material in the payload, hexadecimal',
    payload String COMMENT 'body as sent, without blanks between its tokens' CODEC(ZSTD(3)),
    conn LowCardinality(String) COMMENT 'receiver that took it',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our receiver had it whole' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- the largest version stays, the winner is the smallest (known_at, partition, offset): 8 + 2 + 6 bytes, bits turned
    _rank UInt128 MATERIALIZED bitNot(
        bitShiftLeft(toUInt128(toUnixTimestamp64Nano(known_at)), 64)
        + bitShiftLeft(toUInt128(cause_partition), 48)
        + toUInt128(cause_offset)
    ) COMMENT 'the larger, the earlier the telling'
)
ENGINE = ReplacingMergeTree(_rank)
PARTITION BY toYYYYMM(event_at)
ORDER BY (provider, event_id, content)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Webhooks by every delivery that was stored';

CREATE VIEW IF NOT EXISTS tapefold_api.webhooks
(
    provider LowCardinality(String) COMMENT 'who sent it',
    event_id String COMMENT 'the sender\'s id of the event, the same on every delivery',
    event_type LowCardinality(Nullable(String)) COMMENT 'what happened; NULL: not told',
    object_id Nullable(String) COMMENT 'what it happened to; NULL: not told',
    scheme LowCardinality(String) COMMENT 'how it was signed: standard or stripe',
    event_by LowCardinality(String) COMMENT 'where event_at stands: payload, signed or received',
    signed_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when it was signed; NULL: the signature was not verified',
    verified Bool COMMENT 'the signature was verified',
    content String COMMENT 'digest of what is material in the payload, hexadecimal',
    payload String COMMENT 'body as sent, without blanks between its tokens',
    conn LowCardinality(String) COMMENT 'receiver that took it',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened',
    received_at DateTime64(9, 'UTC') COMMENT 'when our receiver had it whole',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per event of a provider; two under one id only where an operator redrove a conflicting content'
AS SELECT provider, event_id, event_type, object_id, scheme, event_by, signed_at, verified, content, payload, conn,
    event_at, received_at, known_at, known_by, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.webhook_events FINAL;
