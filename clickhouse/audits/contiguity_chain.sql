-- Commits and accepted gaps of each partition must join: no hole, no overlap, and they begin where its first intent did that was
-- part of a committed round. A row here is where they do not. Of several intents of a round the one counts that writers follow;
-- who does not know a partition leaves it out of the commit, and the next round has it: so an intent counts after five minutes.
SELECT * FROM
(
SELECT
    sink,
    topic,
    partition,
    if(before < first, 'chain_hole', 'chain_overlap') AS problem,
    least(before, first) AS from_offset,
    greatest(before, first) AS to_offset,
    concat('expected ', toString(before)) AS expected,
    concat('was ', toString(first)) AS was
FROM
(
    SELECT
        sink,
        topic,
        partition,
        first,
        next,
        row_number() OVER chain AS place,
        max(next) OVER (chain ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM
    (
        SELECT sink, topic, partition, first, next FROM tapefold.sink_commits
        UNION DISTINCT
        SELECT sink, topic, partition, first, next FROM tapefold.sink_gaps
    )
    WINDOW chain AS (PARTITION BY sink, topic, partition ORDER BY first, next)
)
WHERE place > 1 AND before != first
UNION ALL
SELECT
    intents.sink,
    intents.topic,
    intents.partition,
    'chain_begins_late',
    intents.begun AS from_offset,
    if(chain.links = 0, intents.ended, chain.begun) AS to_offset,
    concat('expected ', toString(intents.begun)),
    if(chain.links = 0, 'was no commit', concat('was ', toString(chain.begun)))
FROM
(
    SELECT sink, topic, partition, min(first) AS begun, max(next) AS ended
    FROM tapefold.sink_intents
    WHERE at < {now:DateTime64(9, 'UTC')} - INTERVAL 5 MINUTE
        AND (sink, round) IN (SELECT sink, round FROM tapefold.sink_commits)
        AND (sink, round, (attempt, owner)) IN (
            SELECT sink, round, max((attempt, owner)) FROM tapefold.sink_intents GROUP BY sink, round
        )
    GROUP BY sink, topic, partition
) AS intents
LEFT JOIN
(
    SELECT sink, topic, partition, min(first) AS begun, count() AS links
    FROM
    (
        SELECT sink, topic, partition, first FROM tapefold.sink_commits
        UNION ALL
        SELECT sink, topic, partition, first FROM tapefold.sink_gaps
    )
    GROUP BY sink, topic, partition
) AS chain
    ON intents.sink = chain.sink AND intents.topic = chain.topic AND intents.partition = chain.partition
WHERE chain.links = 0 OR chain.begun > intents.begun
)
ORDER BY sink, topic, partition, from_offset
