-- Predictions: runs, and what they say of markets. One told twice keeps the telling known first.

CREATE TABLE IF NOT EXISTS tapefold.prediction_runs
(
    series_ticker LowCardinality(String) COMMENT 'series that was asked about',
    asked Array(String) COMMENT 'markets that were asked about',
    predicted UInt32 COMMENT 'predictions that can be read in the answer',
    run_id String COMMENT 'run that the prediction is of: recorder, as-of time, series',
    model_version LowCardinality(String) COMMENT 'version that the predictor named',
    features LowCardinality(String) COMMENT 'feature set and version that it was asked with, see feature_registry',
    extra String DEFAULT '{}' COMMENT 'what else was said, JSON as sent' CODEC(ZSTD(3)),
    conn LowCardinality(String) COMMENT 'recorder that asked',
    event_at DateTime64(9, 'UTC') COMMENT 'as-of time: the features are those that were known then' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when the recorder had the answer whole' CODEC(Delta, ZSTD(1)),
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
ORDER BY (run_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Answers of the predictor, one run each';

CREATE TABLE IF NOT EXISTS tapefold.market_predictions
(
    market_ticker String COMMENT 'Kalshi market',
    probability_yes Float64 COMMENT 'probability of yes, between 0 and 1',
    run_id String COMMENT 'run that the prediction is of: recorder, as-of time, series',
    model_version LowCardinality(String) COMMENT 'version that the predictor named',
    features LowCardinality(String) COMMENT 'feature set and version that it was asked with, see feature_registry',
    extra String DEFAULT '{}' COMMENT 'what else was said, JSON as sent' CODEC(ZSTD(3)),
    conn LowCardinality(String) COMMENT 'recorder that asked',
    event_at DateTime64(9, 'UTC') COMMENT 'as-of time: the features are those that were known then' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when the recorder had the answer whole' CODEC(Delta, ZSTD(1)),
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
ORDER BY (market_ticker, run_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What each run said of each market';

CREATE VIEW IF NOT EXISTS tapefold_api.prediction_runs
(
    series_ticker LowCardinality(String) COMMENT 'series that was asked about',
    asked Array(String) COMMENT 'markets that were asked about',
    predicted UInt32 COMMENT 'predictions that can be read in the answer',
    run_id String COMMENT 'run that the prediction is of: recorder, as-of time, series',
    model_version LowCardinality(String) COMMENT 'version that the predictor named',
    features LowCardinality(String) COMMENT 'feature set and version that it was asked with, see feature_registry',
    extra String COMMENT 'what else was said, JSON as sent',
    conn LowCardinality(String) COMMENT 'recorder that asked',
    run_as_of_ts DateTime64(9, 'UTC') COMMENT 'as-of time: the features are those that were known then',
    received_at DateTime64(9, 'UTC') COMMENT 'when the recorder had the answer whole',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'Answers of the predictor, one run each'
AS SELECT series_ticker, asked, predicted, run_id, model_version, features, extra, conn, event_at AS run_as_of_ts,
    received_at, known_at, known_by, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.prediction_runs FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.market_predictions
(
    market_ticker String COMMENT 'Kalshi market',
    probability_yes Float64 COMMENT 'probability of yes, between 0 and 1',
    run_id String COMMENT 'run that the prediction is of: recorder, as-of time, series',
    model_version LowCardinality(String) COMMENT 'version that the predictor named',
    features LowCardinality(String) COMMENT 'feature set and version that it was asked with, see feature_registry',
    extra String COMMENT 'what else was said, JSON as sent',
    conn LowCardinality(String) COMMENT 'recorder that asked',
    run_as_of_ts DateTime64(9, 'UTC') COMMENT 'as-of time: the features are those that were known then',
    received_at DateTime64(9, 'UTC') COMMENT 'when the recorder had the answer whole',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'What each run said of each market'
AS SELECT market_ticker, probability_yes, run_id, model_version, features, extra, conn, event_at AS run_as_of_ts,
    received_at, known_at, known_by, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.market_predictions FINAL;
