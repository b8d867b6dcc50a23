-- Everything as known at a time t: views with one parameter, computed from facts that were known by then, never from
-- old revisions: SELECT * FROM tapefold_api.bars_1m_known(t = '2025-04-04 12:00:00').
-- They say what a fold of the tape that ends at t says.

CREATE TABLE IF NOT EXISTS tapefold.beat_log
(
    source LowCardinality(String) COMMENT 'producer',
    conn LowCardinality(String) COMMENT 'connection',
    clock_at DateTime64(9, 'UTC') COMMENT 'the producer\'s clock' CODEC(Delta, ZSTD(1)),
    lease_ns Int64 COMMENT 'after this much silence nobody needs to wait for it',
    bye Bool COMMENT 'the connection is gone for good',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'raw topic of the beat',
    _partition UInt32 COMMENT 'raw partition that the beat stands on',
    _offset UInt64 COMMENT 'offset of the beat' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(known_at)
ORDER BY (_topic, _partition, _offset)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Every beat of every connection: what watermarks are made of';

ALTER TABLE tapefold.books ADD COLUMN IF NOT EXISTS event_by LowCardinality(Nullable(String))
    COMMENT 'whose time event_at is: exchange, sid (the latest of its subscription) or received; NULL: not told';

CREATE VIEW IF NOT EXISTS tapefold_api.trades_known AS
SELECT * FROM tapefold_api.trades WHERE known_at <= {t:DateTime64(9, 'UTC')}
COMMENT 'Trades as known at t: one row per trade, the earliest telling';

CREATE VIEW IF NOT EXISTS tapefold_api.market_ticks_known AS
SELECT * FROM tapefold_api.market_ticks WHERE known_at <= {t:DateTime64(9, 'UTC')}
COMMENT 'Ticker frames as known at t';

CREATE VIEW IF NOT EXISTS tapefold_api.market_events_known AS
SELECT * FROM tapefold_api.market_events WHERE known_at <= {t:DateTime64(9, 'UTC')}
COMMENT 'Announcements as known at t';

CREATE VIEW IF NOT EXISTS tapefold_api.books_known AS
SELECT * FROM tapefold_api.books WHERE known_at <= {t:DateTime64(9, 'UTC')}
COMMENT 'Best levels after each change as known at t, by session';

CREATE VIEW IF NOT EXISTS tapefold_api.gaps_known AS
SELECT * REPLACE (
    if(repaired_at <= {t:DateTime64(9, 'UTC')}, repaired_at, NULL) AS repaired_at,
    toUInt64(if(repaired_at <= {t:DateTime64(9, 'UTC')}, 2, 1)) AS rev
)
FROM tapefold_api.gaps WHERE noticed_at <= {t:DateTime64(9, 'UTC')}
COMMENT 'Gaps as known at t: one that was repaired later is open';

CREATE VIEW IF NOT EXISTS tapefold_api.coverage_known AS
SELECT source, channel, market_ticker, conn, sid, started_at,
    if(ended_at <= {t:DateTime64(9, 'UTC')}, ended_at, NULL) AS ended_at,
    if(ended_at <= {t:DateTime64(9, 'UTC')}, ended_by, NULL) AS ended_by
FROM tapefold_api.coverage WHERE started_at <= {t:DateTime64(9, 'UTC')}
COMMENT 'What was recorded as known at t: an interval that ended later is open';

CREATE VIEW IF NOT EXISTS tapefold_api.bars_1m_known AS
WITH
    60000000000 AS ns_per_minute,
    toUnixTimestamp64Nano({t:DateTime64(9, 'UTC')}) AS t_ns,
    44640 AS empty_minutes_max, -- as the fold: no market is silent longer and still open
    pulses AS (
        SELECT conn, _partition AS raw_partition, max(toUnixTimestamp64Nano(clock_at)) AS clock_ns,
            argMax(lease_ns, _offset) AS lease, max(bye) AS gone
        FROM tapefold.beat_log
        WHERE source = 'kalshi.ws' AND known_at <= {t:DateTime64(9, 'UTC')}
        GROUP BY conn, raw_partition
    ),
    lanes AS (
        SELECT raw_partition, maxIf(clock_ns, NOT gone) AS newest_ns,
            if(newest_ns = 0, max(clock_ns), arrayMin(arrayFilter(
                (clock, length) -> clock + length >= newest_ns,
                groupArrayIf(clock_ns, NOT gone), groupArrayIf(lease, NOT gone)
            ))) AS lane_ns
        FROM pulses GROUP BY raw_partition
    ),
    -- a partition that never beat by t holds the watermark back, as in the fold
    (SELECT uniqExact(_partition) FROM tapefold.beat_log WHERE source = 'kalshi.ws') AS raw_partitions,
    (SELECT if(count() = raw_partitions, min(lane_ns), 0) FROM lanes) AS watermark_ns,
    intDiv(watermark_ns, ns_per_minute) AS open_from,
    heard AS (
        SELECT conn, if(count() = raw_partitions, intDiv(min(clock_ns), ns_per_minute), 0) AS heard_to
        FROM pulses GROUP BY conn
    ),
    traded AS (
        SELECT market_ticker, intDiv(toUnixTimestamp64Nano(event_at), ns_per_minute) AS minute_number,
            argMin(yes_price, (toUnixTimestamp64Milli(event_at), trade_id)) AS open_price,
            argMax(yes_price, (toUnixTimestamp64Milli(event_at), trade_id)) AS close_price,
            max(yes_price) AS high_price, min(yes_price) AS low_price, sum(size) AS sum_size, count() AS trade_count,
            max(toUnixTimestamp64Nano(known_at)) AS trades_known_ns,
            max(indexOf(['observed', 'modelled', 'assumed'], known_by)) AS trades_known_rank
        FROM tapefold.trades FINAL
        WHERE known_at <= {t:DateTime64(9, 'UTC')}
        GROUP BY market_ticker, minute_number
    ),
    changes AS (
        SELECT market_ticker, conn, sid, seq AS position, 1 AS kind_rank,
            toUnixTimestamp64Nano(event_at) AS event_ns, cause_offset,
            kind = 'delta' AND ifNull(event_by, 'exchange') = 'exchange' AS timed,
            trusted, yes_bid, yes_ask, toUnixTimestamp64Nano(known_at) AS change_known_ns,
            indexOf(['observed', 'modelled', 'assumed'], known_by) AS change_known_rank
        FROM tapefold.books FINAL
        WHERE known_at <= {t:DateTime64(9, 'UTC')}
        UNION ALL
        -- a gap stands before the frame that revealed it; a lost subscription ends its book
        SELECT market_ticker, conn, sid, if(to_seq IS NULL, 9223372036854775807, ifNull(from_seq, 0)), 0,
            toUnixTimestamp64Nano(noticed_at), cause_offset, false, false, NULL, NULL,
            toUnixTimestamp64Nano(noticed_at), 1
        FROM tapefold.gaps FINAL
        WHERE channel = 'orderbook_delta' AND noticed_at <= {t:DateTime64(9, 'UTC')}
    ),
    points AS (
        SELECT market_ticker, conn, sid, point_minute,
            argMax((trusted, yes_bid, yes_ask, change_known_ns, change_known_rank), (position, kind_rank)) AS point
        FROM (
            -- within a session the sequence rules: what comes later stands later, whatever its time stamp says
            SELECT *, max(intDiv(event_ns, ns_per_minute)) OVER (
                PARTITION BY market_ticker, conn, sid ORDER BY position, kind_rank
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS point_minute
            FROM changes
        )
        GROUP BY market_ticker, conn, sid, point_minute
    ),
    touched AS (
        SELECT market_ticker, arraySort(groupUniqArray(minute_number)) AS numbers
        FROM (
            SELECT market_ticker, minute_number FROM traded
            UNION ALL
            SELECT market_ticker, intDiv(event_ns, ns_per_minute) FROM changes WHERE timed
        )
        GROUP BY market_ticker
    ),
    closes AS (
        SELECT market_ticker,
            argMax(-intDiv(-toUnixTimestamp64Nano(assumeNotNull(close_at)), ns_per_minute), (known_at, close_at))
                AS close_number
        FROM tapefold.market_events FINAL
        WHERE close_at IS NOT NULL AND known_at <= {t:DateTime64(9, 'UTC')}
        GROUP BY market_ticker
    ),
    lives AS (
        SELECT market_ticker, numbers[-1] AS last_number, arrayJoin(arrayConcat(numbers, arrayFlatten(arrayMap(
            (before, next) -> range(
                toInt64(greatest(before + 1, next - empty_minutes_max)),
                toInt64(greatest(least(next, open_from), 0))
            ),
            numbers,
            arrayPushBack(arrayPopFront(numbers), greatest(last_number + 1, close_number))
        )))) AS minute_number
        FROM touched LEFT JOIN closes USING (market_ticker)
    ),
    sessions AS (
        SELECT market_ticker, conn, sid, argMin((event_ns, cause_offset), (position, kind_rank)) AS session_order,
            min(intDiv(event_ns, ns_per_minute)) AS least_number
        FROM changes GROUP BY market_ticker, conn, sid
    ),
    -- a closed minute believes those who were heard past its end, an open one everybody
    spoken AS (
        SELECT market_ticker, conn, sid, session_order, arrayJoin(arrayConcat(
            range(toInt64(least_number), toInt64(greatest(least(heard_to, open_from), 0))),
            range(toInt64(greatest(least_number, open_from)), toInt64(least(intDiv(t_ns, ns_per_minute), last_number + 1)))
        )) AS minute_number
        FROM sessions
        LEFT JOIN heard USING (conn)
        INNER JOIN (SELECT market_ticker, numbers[-1] AS last_number FROM touched) AS ends USING (market_ticker)
    ),
    quotes AS (
        SELECT spoken.market_ticker AS market_ticker, spoken.minute_number AS minute_number,
            argMinIf(points.point, spoken.session_order, points.point.1) AS quote,
            countIf(points.point.1) > 0 AS quoted
        FROM spoken
        ASOF INNER JOIN points ON spoken.market_ticker = points.market_ticker AND spoken.conn = points.conn
            AND spoken.sid = points.sid AND spoken.minute_number >= points.point_minute
        GROUP BY market_ticker, minute_number
    )
SELECT lives.market_ticker AS market_ticker,
    fromUnixTimestamp64Nano(toInt64(lives.minute_number * ns_per_minute), 'UTC') AS minute,
    if(trade_count > 0, toNullable(open_price), NULL) AS open,
    if(trade_count > 0, toNullable(high_price), NULL) AS high,
    if(trade_count > 0, toNullable(low_price), NULL) AS low,
    if(trade_count > 0, toNullable(close_price), NULL) AS close,
    toDecimal64(sum_size, 4) AS volume,
    toUInt32(trade_count) AS trades,
    if(quoted, quote.2, NULL) AS yes_bid,
    if(quoted, quote.3, NULL) AS yes_ask,
    lives.minute_number < open_from AS closed,
    fromUnixTimestamp64Nano(greatest(
        toInt64((lives.minute_number + 1) * ns_per_minute), trades_known_ns, if(quoted, quote.4, 0)
    ), 'UTC') AS known_at,
    ['observed', 'modelled', 'assumed'][greatest(1, trades_known_rank, if(quoted, quote.5, 0))] AS known_by,
    concat('bar:', market_ticker, ':', toString(lives.minute_number)) AS row_id
FROM lives
LEFT JOIN traded ON traded.market_ticker = lives.market_ticker AND traded.minute_number = lives.minute_number
LEFT JOIN quotes ON quotes.market_ticker = lives.market_ticker AND quotes.minute_number = lives.minute_number
WHERE known_at <= {t:DateTime64(9, 'UTC')}
COMMENT 'One-minute bars as known at t. A cut has no revisions: the row is the answer';
