-- Every committed range of a sink must have as many rows and as many offsets in bronze as it says. A row here is a range that
-- has not; what of it, its rows are asked. Reads the offsets of all of bronze, and no other column.
WITH
    committed AS
    (
        SELECT DISTINCT topic, partition, first, next, rows
        FROM tapefold.sink_commits
        WHERE sink = {sink:String} AND round > 0 AND startsWith(topic, 'raw.')
    ),
    found AS
    (
        SELECT
            committed.topic AS topic,
            committed.partition AS partition,
            committed.first AS first,
            count() AS physical,
            uniqExact(_offset) AS distinct_offsets
        FROM (SELECT _topic, _partition, _offset FROM tapefold.raw_records) AS bronze
        ASOF INNER JOIN committed
            ON bronze._topic = committed.topic AND bronze._partition = committed.partition
            AND bronze._offset >= committed.first
        WHERE bronze._offset < committed.next
        GROUP BY topic, partition, first
    )
SELECT committed.topic, committed.partition, committed.first
FROM committed
LEFT JOIN found
    ON committed.topic = found.topic AND committed.partition = found.partition AND committed.first = found.first
WHERE found.physical != committed.rows OR found.distinct_offsets != committed.rows
ORDER BY committed.topic, committed.partition, committed.first
LIMIT 100
