-- A book that is trusted is a book: its best levels do not cross and have sizes, one row per number of a session.
SELECT
    multiIf(
        NOT trusted AND (yes_bid IS NOT NULL OR yes_ask IS NOT NULL), 'book_quote_without_trust',
        yes_bid NOT BETWEEN 0 AND 1 OR yes_ask NOT BETWEEN 0 AND 1, 'book_price_out_of_range',
        yes_bid_size <= 0 OR yes_ask_size <= 0, 'book_size_not_positive',
        (yes_bid IS NULL) != (yes_bid_size IS NULL) OR (yes_ask IS NULL) != (yes_ask_size IS NULL), 'book_size_without_level',
        ''
    ) AS kind,
    row_id,
    toString(tuple(trusted, yes_bid, yes_bid_size, yes_ask, yes_ask_size)) AS detail
FROM tapefold.books FINAL
WHERE kind != ''
ORDER BY row_id
