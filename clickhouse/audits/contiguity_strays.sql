-- Every row of bronze must lie in a range that some sink committed, is about to write, or gave up. A row here is a span of rows
-- that do not. Reads the offsets of all of bronze, and no other column.
WITH
    ranges AS
    (
        SELECT topic, partition, first, max(next) AS ends
        FROM
        (
            SELECT topic, partition, first, next FROM tapefold.sink_commits
            UNION ALL
            SELECT topic, partition, first, next FROM tapefold.sink_intents
            UNION ALL
            SELECT topic, partition, first, next FROM tapefold.sink_gaps
        )
        GROUP BY topic, partition, first
    ),
    reach AS
    (
        SELECT
            topic,
            partition,
            first,
            max(ends) OVER (PARTITION BY topic, partition ORDER BY first ROWS UNBOUNDED PRECEDING) AS ends
        FROM ranges
    )
SELECT
    '' AS sink,
    bronze._topic AS topic,
    bronze._partition AS partition,
    'rows_uncommitted' AS problem,
    min(bronze._offset) AS from_offset,
    max(bronze._offset) + 1 AS to_offset,
    'no row: nobody committed these offsets' AS expected,
    concat(toString(count()), ' rows') AS was
FROM (SELECT _topic, _partition, _offset FROM tapefold.raw_records) AS bronze
ASOF LEFT JOIN reach
    ON bronze._topic = reach.topic AND bronze._partition = reach.partition AND bronze._offset >= reach.first
WHERE bronze._offset >= reach.ends
GROUP BY bronze._topic, bronze._partition, reach.ends
ORDER BY topic, partition, from_offset
LIMIT 100
