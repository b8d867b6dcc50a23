-- Commits and accepted gaps of each partition must join: no hole, no overlap. A row here is where they do not.
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
ORDER BY sink, topic, partition, first
