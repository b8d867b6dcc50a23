-- Where each sink stands, for the health page and the status screen.

CREATE VIEW IF NOT EXISTS tapefold_api.sink_positions
(
    sink LowCardinality(String) COMMENT 'name of the sink',
    topic LowCardinality(String) COMMENT 'topic',
    partition UInt32 COMMENT 'partition',
    next UInt64 COMMENT 'the first offset that is not committed',
    first_at DateTime64(9, 'UTC') COMMENT 'when the sink first committed records of the partition',
    last_at DateTime64(9, 'UTC') COMMENT 'when it last did'
)
COMMENT 'How far each sink has come, by its commits'
AS SELECT sink, topic, partition, max(next) AS next, min(at) AS first_at, max(at) AS last_at
FROM tapefold.sink_commits
GROUP BY sink, topic, partition;
