-- Bronze must hold exactly what each commit of a sink says: that many rows, each offset once, the same sum of hashes
-- (commits of code below 4 have an earlier hash).
-- A row here is a committed range that differs. The conditions `1` mark where a part of the ranges may be chosen.
WITH
    committed AS
    (
        SELECT DISTINCT topic, partition, first, next, rows, checksum, code
        FROM tapefold.sink_commits
        WHERE sink = {sink:String} AND round > 0 AND startsWith(topic, 'raw.') AND 1 /* committed */
    ),
    found AS
    (
        SELECT
            committed.topic AS topic,
            committed.partition AS partition,
            committed.first AS first,
            count() AS physical,
            uniqExact(_offset) AS distinct_offsets,
            sum(if(committed.code < 4, first_hash, hash)) AS checksum
        FROM
        (
            SELECT
                _topic,
                _partition,
                _offset,
                intHash64(intHash64(_offset) + CRC32(concat(ifNull(_key, ''), value)) + bitShiftLeft(toUInt64(CRC32(arrayStringConcat(mapValues(_headers)))), 32)) + intHash64(intHash64(_offset) + toUInt64(toUnixTimestamp64Milli(_timestamp))) AS first_hash,
                intHash64(intHash64(_offset) + CRC32(concat(ifNull(_key, ''), value)) + bitShiftLeft(toUInt64(CRC32(arrayStringConcat(mapValues(_headers)))), 32)) + intHash64(intHash64(_offset) + toUInt64(toUnixTimestamp64Milli(_timestamp))) + intHash64(intHash64(_offset) + toUInt64(CRC32(arrayStringConcat(mapKeys(_headers)))) + bitShiftLeft(ifNull(toUInt64(length(_key)) + 1, 0), 32) + arraySum((name, held, place) -> intHash64(toUInt64(length(name)) + bitShiftLeft(toUInt64(length(held)), 24) + bitShiftLeft(toUInt64(place), 56)), mapKeys(_headers), mapValues(_headers), arrayEnumerate(mapKeys(_headers)))) AS hash
            FROM tapefold.raw_records
            WHERE 1 /* bronze */
        ) AS bronze
        ASOF INNER JOIN committed
            ON bronze._topic = committed.topic AND bronze._partition = committed.partition
            AND bronze._offset >= committed.first
        WHERE bronze._offset < committed.next
        GROUP BY topic, partition, first
    )
SELECT
    {sink:String} AS sink,
    committed.topic AS topic,
    committed.partition AS partition,
    multiIf(
        found.distinct_offsets < committed.rows, 'rows_missing',
        found.distinct_offsets > committed.rows, 'rows_too_many',
        found.physical > committed.rows, 'rows_doubled',
        'rows_altered'
    ) AS problem,
    committed.first AS from_offset,
    committed.next AS to_offset,
    concat(toString(committed.rows), ' rows, checksum ', hex(committed.checksum)) AS expected,
    concat(toString(found.physical), ' rows of ', toString(found.distinct_offsets), ' offsets, checksum ',
        hex(found.checksum)) AS was
FROM committed
LEFT JOIN found
    ON committed.topic = found.topic AND committed.partition = found.partition AND committed.first = found.first
WHERE found.physical != committed.rows OR found.distinct_offsets != committed.rows
    OR found.checksum != committed.checksum
ORDER BY topic, partition, from_offset
