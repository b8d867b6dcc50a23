-- Bars against the facts: a bar must be what its trades, quotes and beats give, and be known no earlier than they were.
-- One finding per bar, the gravest. Bars of the last two minutes may still be on their way to the store.
SELECT
    multiIf(
        given.row_id = '', 'bar_without_facts',
        bars.known_at < bars.minute + INTERVAL 1 MINUTE, 'bar_known_before_its_end',
        bars.known_at < given.known_at, 'bar_known_before_its_inputs',
        indexOf(['observed', 'modelled', 'assumed'], bars.known_by)
            < indexOf(['observed', 'modelled', 'assumed'], given.known_by), 'bar_surer_than_its_inputs',
        bars.closed AND NOT given.closed, 'bar_closed_before_the_watermark',
        bars.trades > given.trades OR bars.volume > given.volume, 'bar_counts_what_nobody_told',
        toString((bars.open, bars.high, bars.low, bars.close, bars.volume, bars.trades))
            != toString((given.open, given.high, given.low, given.close, given.volume, given.trades)), 'bar_value_revised',
        toString((bars.yes_bid, bars.yes_ask)) != toString((given.yes_bid, given.yes_ask)), 'bar_quote_of_another_minute',
        ''
    ) AS kind,
    bars.row_id AS row_id,
    concat(
        'stored ', toString(tuple(bars.open, bars.high, bars.low, bars.close, bars.volume, bars.trades, bars.yes_bid,
            bars.yes_ask, bars.closed, bars.known_at, bars.known_by)),
        '; facts give ', toString(tuple(given.open, given.high, given.low, given.close, given.volume, given.trades,
            given.yes_bid, given.yes_ask, given.closed, given.known_at, given.known_by))
    ) AS detail
FROM (SELECT * FROM tapefold.bars_1m FINAL) AS bars
LEFT JOIN tapefold_api.bars_1m_known(t = '2200-01-01 00:00:00') AS given ON bars.row_id = given.row_id
WHERE kind != '' AND bars.known_at < now64(9) - INTERVAL 2 MINUTE
ORDER BY row_id
