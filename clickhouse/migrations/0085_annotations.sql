-- The ledger: what people decided about ranges of datasets. Every version stays; the latest one holds.

CREATE TABLE IF NOT EXISTS tapefold.annotations
(
    annotation_id String COMMENT 'name of the decision',
    version UInt32 COMMENT 'version; a version never changes',
    dataset LowCardinality(String) COMMENT 'dataset that it is about',
    keys Array(String) COMMENT 'symbols, markets, series or stations that it is about; empty: all',
    from_at DateTime64(9, 'UTC') COMMENT 'it is about rows from this time on: minutes, or midnights of climate days',
    to_at DateTime64(9, 'UTC') COMMENT 'end of the range, not included',
    verdict LowCardinality(String) COMMENT 'accepted, annotated, unusable or withdrawn',
    note String COMMENT 'why',
    author LowCardinality(String) COMMENT 'who decided; empty: not told',
    known_at DateTime64(9, 'UTC') COMMENT 'when it was written',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record',
    _rank UInt64 MATERIALIZED bitNot(_offset) COMMENT 'the larger, the earlier it was told'
)
ENGINE = ReplacingMergeTree(_rank)
ORDER BY (annotation_id, version)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Decisions about ranges of datasets, every version; the first telling of a version stands';

CREATE VIEW IF NOT EXISTS tapefold_api.annotations_known
AS SELECT annotation_id, version, dataset, keys, from_at, to_at, verdict, note, author, known_at
FROM tapefold.annotations FINAL
WHERE known_at <= {t:DateTime64(9, 'UTC')}
ORDER BY annotation_id, version DESC
LIMIT 1 BY annotation_id
COMMENT 'Parameter t: the version of each decision that held then; a withdrawn one says so';

CREATE VIEW IF NOT EXISTS tapefold_api.annotations
(
    annotation_id String COMMENT 'name of the decision',
    version UInt32 COMMENT 'version that holds',
    dataset LowCardinality(String) COMMENT 'dataset that it is about',
    keys Array(String) COMMENT 'symbols, markets, series or stations that it is about; empty: all',
    from_at DateTime64(9, 'UTC') COMMENT 'it is about rows from this time on: minutes, or midnights of climate days',
    to_at DateTime64(9, 'UTC') COMMENT 'end of the range, not included',
    verdict LowCardinality(String) COMMENT 'accepted: as bad as it looks, and used; annotated: used; unusable: not to be trained on; withdrawn',
    note String COMMENT 'why',
    author LowCardinality(String) COMMENT 'who decided; empty: not told',
    known_at DateTime64(9, 'UTC') COMMENT 'when it was written'
)
COMMENT 'The ledger: the decision that holds about each range of a dataset; a withdrawn one says so'
AS SELECT * FROM tapefold_api.annotations_known(t = '2262-01-01 00:00:00');

CREATE VIEW IF NOT EXISTS tapefold_api.annotations_journal
(
    annotation_id String COMMENT 'name of the decision',
    version UInt32 COMMENT 'version',
    dataset LowCardinality(String) COMMENT 'dataset that it is about',
    keys Array(String) COMMENT 'symbols, markets, series or stations that it is about; empty: all',
    from_at DateTime64(9, 'UTC') COMMENT 'it is about rows from this time on',
    to_at DateTime64(9, 'UTC') COMMENT 'end of the range, not included',
    verdict LowCardinality(String) COMMENT 'accepted, annotated, unusable or withdrawn',
    note String COMMENT 'why',
    author LowCardinality(String) COMMENT 'who decided; empty: not told',
    known_at DateTime64(9, 'UTC') COMMENT 'when it was written'
)
COMMENT 'Every version of every decision'
AS SELECT annotation_id, version, dataset, keys, from_at, to_at, verdict, note, author, known_at
FROM tapefold.annotations FINAL;
