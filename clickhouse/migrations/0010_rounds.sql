-- The sink's protocol: intents before rows, commits after them, gaps that an operator accepted.

CREATE TABLE IF NOT EXISTS tapefold.sink_intents
(
    sink LowCardinality(String) COMMENT 'name of the sink',
    round UInt64 COMMENT 'number of the round; its rows are written by one insert whose token is taken once',
    attempt UInt32 COMMENT 'more than 0 where the store took an intent and lost it; the highest holds',
    owner LowCardinality(String) COMMENT 'writer that proposed it; others may finish it',
    code UInt32 COMMENT 'version of the code that makes rows of records',
    cluster LowCardinality(String) COMMENT 'id of the log cluster',
    topic LowCardinality(String) COMMENT 'topic',
    topic_id LowCardinality(String) COMMENT 'the log\'s own id of the topic',
    partition UInt32 COMMENT 'partition',
    first UInt64 COMMENT 'the round holds the offsets [first, next)',
    next UInt64 COMMENT 'end of the range, not included',
    rows UInt64 COMMENT 'records in the range; fewer than next - first where offsets are missing on the log',
    checksum UInt64 COMMENT 'sum of the hashes of the records in the range',
    at DateTime64(9, 'UTC') COMMENT 'when the sink wrote it'
)
ENGINE = MergeTree
ORDER BY (sink, round, topic, partition)
SETTINGS non_replicated_deduplication_window = 100000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What a sink is about to write: whoever reads the intent of a round finishes exactly that';

-- Rows of before have round 0 and no checksum.
ALTER TABLE tapefold.sink_commits
    ADD COLUMN IF NOT EXISTS round UInt64 COMMENT 'number of the round; 0: written before rounds had numbers',
    ADD COLUMN IF NOT EXISTS attempt UInt32 COMMENT 'more than 0 where the store took a commit and lost it',
    ADD COLUMN IF NOT EXISTS owner LowCardinality(String) COMMENT 'writer that committed',
    ADD COLUMN IF NOT EXISTS code UInt32 COMMENT 'version of the code that makes rows of records',
    ADD COLUMN IF NOT EXISTS checksum UInt64 COMMENT 'sum of the hashes of the records in the range; of round 0: none',
    ADD INDEX IF NOT EXISTS rounds round TYPE minmax GRANULARITY 1,
    MODIFY SETTING non_replicated_deduplication_window = 100000;

CREATE TABLE IF NOT EXISTS tapefold.sink_gaps
(
    sink LowCardinality(String) COMMENT 'name of the sink',
    topic LowCardinality(String) COMMENT 'topic',
    topic_id LowCardinality(String) COMMENT 'the log\'s own id of the topic',
    partition UInt32 COMMENT 'partition',
    first UInt64 COMMENT 'the offsets [first, next) are not in the store and never will be',
    next UInt64 COMMENT 'where the sink goes on',
    reason LowCardinality(String) COMMENT 'error that the operator answered with this row',
    note String COMMENT 'what the operator said',
    at DateTime64(9, 'UTC') COMMENT 'when it was accepted'
)
ENGINE = ReplacingMergeTree
ORDER BY (sink, topic, partition, first, next)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Ranges of the log that an operator gave up: the chain of commits may skip these and no others';
