-- A result before its determination is look-ahead, whoever says it.
SELECT 'result_known_before_its_determination' AS kind,
    concat('announcement:', cause_topic, ':', toString(cause_partition), ':', toString(cause_offset)) AS row_id,
    concat(market_ticker, ': result ', ifNull(result, 'NULL'), ' known ', toString(known_at), ', determined ',
        toString(determination_at)) AS detail
FROM tapefold.market_events FINAL
WHERE (result IS NOT NULL OR settlement_value IS NOT NULL) AND determination_at > known_at + INTERVAL 5 SECOND
ORDER BY row_id
