-- Both prices of a trade make a dollar, and something was traded. One trade id belongs to one market.
SELECT
    multiIf(
        yes_price + no_price != 1, 'trade_prices_do_not_add_up',
        yes_price NOT BETWEEN 0 AND 1, 'trade_price_out_of_range',
        size <= 0, 'trade_without_size',
        ''
    ) AS kind,
    concat('trade:', market_ticker, ':', trade_id) AS row_id,
    toString(tuple(yes_price, no_price, size)) AS detail
FROM tapefold.trades FINAL
WHERE kind != ''
UNION ALL
SELECT 'trade_id_of_two_markets' AS kind, concat('trade:', any(market_ticker), ':', trade_id) AS row_id,
    toString(groupUniqArray(market_ticker)) AS detail
FROM tapefold.trades GROUP BY trade_id HAVING uniqExact(market_ticker) > 1
ORDER BY row_id
