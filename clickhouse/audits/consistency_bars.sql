-- Bars that contradict themselves, or of which there are two.
SELECT
    multiIf(
        (open IS NULL) != (trades = 0) OR (close IS NULL) != (trades = 0), 'bar_prices_without_trades',
        high < low OR open NOT BETWEEN low AND high OR close NOT BETWEEN low AND high, 'bar_prices_out_of_order',
        (volume = 0) != (trades = 0) OR volume < 0, 'bar_volume_without_trades',
        rev % 2 != toUInt64(closed), 'bar_revision_parity',
        toStartOfMinute(minute) != minute OR toUnixTimestamp64Nano(minute) % 60000000000 != 0, 'bar_off_the_minute',
        row_id != concat('bar:', market_ticker, ':', toString(intDiv(toUnixTimestamp64Nano(minute), 60000000000))),
        'bar_id_of_another',
        ''
    ) AS kind,
    row_id,
    concat('rev ', toString(rev), ': ', toString(tuple(minute, open, high, low, close, volume, trades, closed))) AS detail
FROM tapefold.bars_1m FINAL
WHERE kind != ''
UNION ALL
SELECT 'row_id_twice' AS kind, row_id, concat(toString(count()), ' rows') AS detail
FROM tapefold.bars_1m FINAL GROUP BY row_id HAVING count() > 1
ORDER BY row_id
