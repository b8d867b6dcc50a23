-- Facts against bronze: a fact is known no earlier than its record was received, and no more surely than its recorder's
-- clock was. An exchange's clock may run ahead of ours by five seconds, not more.
SELECT
    multiIf(
        records._topic = '', concat(fact, '_without_record'),
        known_at < received_record_at, concat(fact, '_known_before_its_record'),
        known_at < received_at, concat(fact, '_known_before_it_was_received'),
        known_by = 'observed' AND clock = 'tape', concat(fact, '_surer_than_its_record'),
        event_at > known_at + INTERVAL 5 SECOND, concat(fact, '_from_the_future'),
        ''
    ) AS kind,
    fact_id AS row_id,
    concat(
        cause_topic, '-', toString(cause_partition), ' offset ', toString(cause_offset), ': event ', toString(event_at),
        ', received ', toString(received_at), ', known ', toString(known_at), ' (', known_by, '), record received ',
        toString(received_record_at), ' by clock ', clock
    ) AS detail
FROM (
    SELECT 'trade' AS fact, concat('trade:', market_ticker, ':', trade_id) AS fact_id, cause_topic, cause_partition, cause_offset, event_at, received_at,
        known_at, known_by
    FROM tapefold.trades FINAL
    UNION ALL
    SELECT 'tick' AS fact, concat('tick:', cause_topic, ':', toString(cause_partition), ':', toString(cause_offset)) AS fact_id, cause_topic, cause_partition, cause_offset, event_at, received_at,
        known_at, known_by
    FROM tapefold.market_ticks FINAL
    UNION ALL
    SELECT 'announcement' AS fact, concat('announcement:', cause_topic, ':', toString(cause_partition), ':', toString(cause_offset)) AS fact_id, cause_topic, cause_partition, cause_offset, event_at, received_at,
        known_at, known_by
    FROM tapefold.market_events FINAL
    UNION ALL
    SELECT 'book' AS fact, row_id AS fact_id, cause_topic, cause_partition, cause_offset, event_at, received_at,
        known_at, known_by
    FROM tapefold.books FINAL
) AS facts
LEFT JOIN (
    SELECT _topic, _partition, _offset, _headers['clock'] AS clock,
        fromUnixTimestamp64Nano(toInt64OrZero(_headers['received_ns']), 'UTC') AS received_record_at
    FROM tapefold.raw_records
    WHERE _headers['kind'] = 'frame'
) AS records
    ON records._topic = facts.cause_topic AND records._partition = facts.cause_partition
    AND records._offset = facts.cause_offset
WHERE kind != ''
ORDER BY row_id
