-- Which generations the sink writes, and which one readers are to see.

CREATE TABLE IF NOT EXISTS tapefold.generation_moves
(
    version UInt64 COMMENT 'number of the move; each is taken once',
    shown LowCardinality(String) COMMENT 'generation that readers see from then on',
    written Array(String) COMMENT 'generations that the sink writes from then on',
    owner String COMMENT 'who moved',
    note String COMMENT 'why',
    at DateTime64(9, 'UTC') COMMENT 'when'
)
ENGINE = MergeTree
ORDER BY (version, owner)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Moves of the pointer between generations; the last one holds, without any it is the live one';

CREATE VIEW IF NOT EXISTS tapefold_api.generation_moves
(
    version UInt64 COMMENT 'number of the move; each is taken once',
    shown LowCardinality(String) COMMENT 'generation that readers see from then on',
    written Array(String) COMMENT 'generations that the sink writes from then on',
    note String COMMENT 'why',
    at DateTime64(9, 'UTC') COMMENT 'when'
)
AS SELECT version, shown, written, note, at FROM tapefold.generation_moves
COMMENT 'Moves of the pointer between generations; the last one holds, without any it is the live one';

ALTER TABLE tapefold.sink_commits
    ADD COLUMN IF NOT EXISTS generations Array(String) COMMENT 'generations that hold the rows of the range; empty: the live one, before there were others';
