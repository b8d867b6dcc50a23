-- A revision is told once: the same row and revision with other content means that a value was changed in place.
SELECT 'revision_rewritten' AS kind, row_id, concat('revision ', toString(rev), ' has ', toString(contents), ' contents') AS detail
FROM (
    SELECT row_id, rev, uniqExact(toString(tuple(market_ticker, minute, open, high, low, close, volume, trades, yes_bid,
        yes_ask, closed, known_at, known_by))) AS contents
    FROM (
        SELECT row_id, rev, market_ticker, minute, open, high, low, close, volume, trades, yes_bid, yes_ask, closed,
            known_at, known_by
        FROM tapefold.bars_1m
        UNION ALL
        SELECT row_id, rev, market_ticker, minute, open, high, low, close, volume, trades, yes_bid, yes_ask, closed,
            known_at, known_by
        FROM tapefold.bars_1m_journal
    )
    GROUP BY row_id, rev
    HAVING contents > 1
)
ORDER BY row_id
