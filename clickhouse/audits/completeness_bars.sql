-- Between a market's first and its last closed bar no minute is missing, and no trade is without its bar.
SELECT 'minute_missing' AS kind, concat('bar:', market_ticker, ':', toString(before + 1)) AS row_id,
    concat(toString(number - before - 1), ' minutes') AS detail
FROM (
    SELECT market_ticker, intDiv(toUnixTimestamp64Nano(minute), 60000000000) AS number,
        lagInFrame(number, 1, number - 1) OVER (
            PARTITION BY market_ticker ORDER BY number ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        ) AS before
    FROM tapefold.bars_1m FINAL WHERE closed
)
WHERE number > before + 1
UNION ALL
SELECT 'trade_without_bar' AS kind, concat('trade:', market_ticker, ':', trade_id) AS row_id, toString(event_at) AS detail
FROM tapefold.trades FINAL
WHERE known_at < now64(9) - INTERVAL 2 MINUTE AND (market_ticker, toStartOfMinute(event_at)) NOT IN (
    SELECT market_ticker, toStartOfMinute(minute) FROM tapefold.bars_1m FINAL
)
ORDER BY row_id
