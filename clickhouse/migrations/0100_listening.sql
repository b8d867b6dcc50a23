-- That somebody listened or asked, of every source alike, from the beats alone: who was silent is told from who was not heard.

CREATE VIEW IF NOT EXISTS tapefold_api.listening
(
    source LowCardinality(String) COMMENT 'producer: kalshi.ws, kalshi.rest, iem.mos, iem.cli, tws or webhook',
    conn LowCardinality(String) COMMENT 'connection, or run of a producer',
    started_at DateTime64(9, 'UTC') COMMENT 'it listened or asked from here on, by its own clock',
    proven_to DateTime64(9, 'UTC') COMMENT 'all that it received before this stands on the log; nothing more is proven',
    ended_by LowCardinality(Nullable(String)) COMMENT 'stop: it said good-bye, silence: it did not beat for its lease while others of its source, or itself later, did; NULL: it may go on',
    beats UInt64 COMMENT 'beats that every partition of its topic has'
)
COMMENT 'Intervals in which a producer surely listened or asked: what it does not have of them did not come'
AS SELECT source, conn, min(clock_at) AS started_at, max(clock_at) AS proven_to,
    multiIf(
        max(gone), 'stop',
        max(last_of_source) > max(told_ns) + max(lease), 'silence',
        NULL
    ) AS ended_by,
    count() AS beats
FROM (
    SELECT source, conn, clock_at, told_ns, gone, lease, last_of_source,
        sum(broken) OVER (PARTITION BY source, conn ORDER BY told_ns, clock_at) AS island
    FROM (
        SELECT source, conn, clock_at, told_ns, gone, lease, max(told_ns) OVER (PARTITION BY source) AS last_of_source,
            told_ns > lagInFrame(told_ns, 1, told_ns) OVER (
                PARTITION BY source, conn ORDER BY told_ns, clock_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) + lease AS broken
        FROM (
            SELECT beat_log._topic AS topic, source, conn, clock_at, toUnixTimestamp64Nano(known_at) AS told_ns,
                max(bye) AS gone, max(lease_ns) AS lease, uniqExact(_partition) AS lanes
            FROM tapefold.beat_log
            WHERE clock_at > toDateTime64(0, 9, 'UTC') -- a successor's word about a dead one has no clock
            GROUP BY topic, source, conn, clock_at, told_ns
        ) AS told
        INNER JOIN (
            SELECT _topic AS topic, uniqExact(_partition) AS width FROM tapefold.beat_log GROUP BY topic
        ) AS widths ON widths.topic = told.topic
        WHERE lanes = width
    )
)
GROUP BY source, conn, island;

-- An interval that nobody ended is proven up to the last beat of its connection, of any source: those of `beats` are of the
-- sources alone that a fold waits for.
CREATE OR REPLACE VIEW tapefold_api.coverage
(
    source LowCardinality(String) COMMENT 'producer',
    channel LowCardinality(String) COMMENT 'channel of the exchange; listing: what REST lists of a series, webhook: what a sender pushes',
    market_ticker String COMMENT 'Kalshi market; of a listing the series, of a webhook the sender',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection; 0: of a source without subscriptions',
    started_at DateTime64(9, 'UTC') COMMENT 'recorded from here on',
    ended_at Nullable(DateTime64(9, 'UTC')) COMMENT 'recorded until here; NULL: no end is known',
    ended_by LowCardinality(Nullable(String)) COMMENT 'stop: on purpose, gap: lost; NULL: no end is known',
    last_beat_at Nullable(DateTime64(9, 'UTC')) COMMENT 'latest clock that the connection told of; NULL: none yet',
    event_at DateTime64(9, 'UTC') COMMENT 'when it began, or ended, by the producer\'s clock',
    received_at DateTime64(9, 'UTC') COMMENT 'when the producer said so',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'What was recorded, and until when; an open interval is proven up to last_beat_at'
AS SELECT source, channel, market_ticker, conn, sid, started_at, ended_at, ended_by, last_beat_at, event_at,
    received_at, known_at, known_by, cause_topic, cause_partition, cause_offset, cause_index, extra
FROM (SELECT * FROM tapefold.coverage FINAL) AS intervals
LEFT JOIN (
    SELECT conn, toNullable(max(clock_at)) AS last_beat_at FROM tapefold.beat_log GROUP BY conn
) AS pulses USING (conn);

-- The end of an interval may come to light after it: a listing that fails ends what was proven by the one before.
CREATE OR REPLACE VIEW tapefold_api.coverage_known AS
SELECT source, channel, market_ticker, conn, sid, started_at,
    if(known_at <= {t:DateTime64(9, 'UTC')}, ended_at, NULL) AS ended_at,
    if(known_at <= {t:DateTime64(9, 'UTC')}, ended_by, NULL) AS ended_by
FROM tapefold_api.coverage WHERE started_at <= {t:DateTime64(9, 'UTC')}
COMMENT 'What was recorded as known at t: an interval whose end was not told yet is open';
