-- What users read: each row once, in its latest state.

CREATE VIEW IF NOT EXISTS tapefold_api.raw_records
(
    _topic LowCardinality(String) COMMENT 'topic',
    _topic_id LowCardinality(String) COMMENT 'the log\'s own id of the topic; empty: not told',
    _partition UInt32 COMMENT 'partition',
    _offset UInt64 COMMENT 'offset within the partition',
    _timestamp DateTime64(9, 'UTC') COMMENT 'the writer\'s time of the record, exact to the millisecond',
    _key Nullable(String) COMMENT 'key bytes; NULL: the record has no key',
    _headers Map(LowCardinality(String), String) COMMENT 'headers as sent, in order; a repeated name stands repeated',
    value String COMMENT 'the bytes as received'
)
COMMENT 'Records of the raw topics as they stand on the log, one row per offset'
AS SELECT _topic, _topic_id, _partition, _offset, _timestamp, _key, _headers, value
FROM tapefold.raw_records FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.trades
(
    trade_id String COMMENT 'the exchange\'s id of the trade',
    market_ticker String COMMENT 'Kalshi market',
    yes_price Decimal(18, 6) COMMENT 'price of yes in dollars',
    no_price Decimal(18, 6) COMMENT 'price of no in dollars',
    size Decimal(18, 4) COMMENT 'contracts',
    taker_outcome_side LowCardinality(Nullable(String)) COMMENT 'outcome the taker bought; NULL: not told',
    taker_book_side LowCardinality(Nullable(String)) COMMENT 'bid or ask; NULL: not told',
    is_block_trade Nullable(Bool) COMMENT 'block trade; NULL: not told',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, by the exchange\'s clock',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    seq Nullable(Int64) COMMENT 'number within the subscription; NULL: the channel has none',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per trade: the earliest telling of it that may be used'
AS SELECT trade_id, market_ticker, yes_price, no_price, size, taker_outcome_side, taker_book_side, is_block_trade,
    event_at, received_at, known_at, known_by, conn, sid, seq, cause_topic, cause_partition, cause_offset,
    cause_index
FROM tapefold.trades FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.market_ticks
(
    market_ticker String COMMENT 'Kalshi market',
    price Decimal(18, 6) COMMENT 'last price of yes in dollars',
    yes_bid Decimal(18, 6) COMMENT 'best bid for yes in dollars',
    yes_ask Decimal(18, 6) COMMENT 'best ask for yes in dollars',
    yes_bid_size Nullable(Decimal(18, 4)) COMMENT 'contracts at the best bid; NULL: not told',
    yes_ask_size Nullable(Decimal(18, 4)) COMMENT 'contracts at the best ask; NULL: not told',
    last_trade_size Nullable(Decimal(18, 4)) COMMENT 'contracts of the last trade; NULL: not told',
    volume Decimal(18, 4) COMMENT 'contracts traded in all',
    open_interest Decimal(18, 4) COMMENT 'contracts open',
    dollar_volume Nullable(Int64) COMMENT 'as sent; NULL: not told',
    dollar_open_interest Nullable(Int64) COMMENT 'as sent; NULL: not told',
    market_id Nullable(String) COMMENT 'the exchange\'s id of the market; NULL: not told',
    extra String COMMENT 'fields that no other column names, JSON as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, by the exchange\'s clock',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    seq Nullable(Int64) COMMENT 'number within the subscription; NULL: the channel has none',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per ticker frame'
AS SELECT market_ticker, price, yes_bid, yes_ask, yes_bid_size, yes_ask_size, last_trade_size, volume,
    open_interest, dollar_volume, dollar_open_interest, market_id, extra, event_at, received_at, known_at, known_by,
    conn, sid, seq, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.market_ticks FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.market_events
(
    market_ticker String COMMENT 'Kalshi market',
    event_type LowCardinality(String) COMMENT 'what was announced',
    open_at Nullable(DateTime64(9, 'UTC')) COMMENT 'opening; NULL: not told',
    close_at Nullable(DateTime64(9, 'UTC')) COMMENT 'close; NULL: not told',
    determination_at Nullable(DateTime64(9, 'UTC')) COMMENT 'determination; NULL: not told',
    settled_at Nullable(DateTime64(9, 'UTC')) COMMENT 'settlement; NULL: not told',
    result LowCardinality(Nullable(String)) COMMENT 'outcome; NULL: not told',
    settlement_value Nullable(Decimal(18, 6)) COMMENT 'dollars per yes contract; NULL: not told',
    terms String COMMENT 'rest of the frame, JSON as sent',
    extra String COMMENT 'fields that no other column names, JSON as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, by the exchange\'s clock',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    seq Nullable(Int64) COMMENT 'number within the subscription; NULL: the channel has none',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per announcement'
AS SELECT market_ticker, event_type, open_at, close_at, determination_at, settled_at, result, settlement_value,
    terms, extra, event_at, received_at, known_at, known_by, conn, sid, seq, cause_topic, cause_partition,
    cause_offset, cause_index
FROM tapefold.market_events FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.coverage
(
    source LowCardinality(String) COMMENT 'producer',
    channel LowCardinality(String) COMMENT 'channel of the exchange',
    market_ticker String COMMENT 'Kalshi market',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    started_at DateTime64(9, 'UTC') COMMENT 'recorded from here on',
    ended_at Nullable(DateTime64(9, 'UTC')) COMMENT 'recorded until here; NULL: no end is known',
    ended_by LowCardinality(Nullable(String)) COMMENT 'stop: on purpose, gap: lost; NULL: no end is known',
    last_beat_at Nullable(DateTime64(9, 'UTC')) COMMENT 'latest clock that the connection told of; NULL: none yet',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, by the exchange\'s clock',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'What was recorded, and until when; an open interval is proven up to last_beat_at'
AS SELECT source, channel, market_ticker, conn, sid, started_at, ended_at, ended_by, last_beat_at, event_at,
    received_at, known_at, known_by, cause_topic, cause_partition, cause_offset, cause_index
FROM (SELECT * FROM tapefold.coverage FINAL) AS intervals
LEFT JOIN (
    SELECT conn, toNullable(max(clock_at)) AS last_beat_at FROM tapefold.beats GROUP BY conn
) AS beats USING (conn);

CREATE VIEW IF NOT EXISTS tapefold_api.beats
(
    source LowCardinality(String) COMMENT 'producer',
    conn LowCardinality(String) COMMENT 'connection',
    raw_partition UInt32 COMMENT 'raw partition that the beat stood on',
    clock_at DateTime64(9, 'UTC') COMMENT 'the producer\'s clock',
    lease_ns Int64 COMMENT 'after this much silence nobody needs to wait for it',
    bye Bool COMMENT 'the connection is gone for good'
)
COMMENT 'The latest beat of each connection on each raw partition'
AS SELECT source, conn, raw_partition, clock_at, lease_ns, bye
FROM tapefold.beats FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.books
(
    market_ticker String COMMENT 'Kalshi market',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    seq Int64 COMMENT 'number within the subscription',
    kind LowCardinality(String) COMMENT 'snapshot, delta or gap',
    side LowCardinality(Nullable(String)) COMMENT 'side that changed; NULL: all',
    price Nullable(Decimal(18, 6)) COMMENT 'level that changed in dollars; NULL: all',
    delta Nullable(Decimal(18, 4)) COMMENT 'contracts added to the level; NULL: all',
    trusted Bool COMMENT 'no number was missing since the last snapshot',
    yes_bid Nullable(Decimal(18, 6)) COMMENT 'best bid for yes in dollars; NULL: none, or not known',
    yes_bid_size Nullable(Decimal(18, 4)) COMMENT 'contracts at the best bid; NULL: none, or not known',
    yes_ask Nullable(Decimal(18, 6)) COMMENT 'best ask for yes in dollars; NULL: none, or not known',
    yes_ask_size Nullable(Decimal(18, 4)) COMMENT 'contracts at the best ask; NULL: none, or not known',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, by the exchange\'s clock',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'Best levels after each change, by session: one row per change'
AS SELECT market_ticker, conn, sid, seq, kind, side, price, delta, trusted, yes_bid, yes_bid_size, yes_ask,
    yes_ask_size, event_at, received_at, known_at, known_by, cause_topic, cause_partition, cause_offset,
    cause_index
FROM tapefold.books FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.bars_1m
(
    market_ticker String COMMENT 'Kalshi market',
    minute DateTime64(9, 'UTC') COMMENT 'start of the minute, UTC',
    open Nullable(Decimal(18, 6)) COMMENT 'yes price of the first trade in dollars; NULL: no trade',
    high Nullable(Decimal(18, 6)) COMMENT 'highest yes price; NULL: no trade',
    low Nullable(Decimal(18, 6)) COMMENT 'lowest yes price; NULL: no trade',
    close Nullable(Decimal(18, 6)) COMMENT 'yes price of the last trade; NULL: no trade',
    volume Decimal(18, 4) COMMENT 'contracts traded',
    trades UInt32 COMMENT 'number of trades',
    yes_bid Nullable(Decimal(18, 6)) COMMENT 'best bid for yes at the end of the minute; NULL: no trusted quote',
    yes_ask Nullable(Decimal(18, 6)) COMMENT 'best ask for yes at the end of the minute; NULL: no trusted quote',
    closed Bool COMMENT 'the watermark has passed the minute',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use this revision',
    rev UInt64 COMMENT 'revision; grows with the set of facts folded in',
    row_id String COMMENT 'identity of the bar; the same for all its revisions',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed'
)
COMMENT 'One-minute bars, the latest revision of each'
AS SELECT market_ticker, minute, open, high, low, close, volume, trades, yes_bid, yes_ask, closed, known_at, rev,
    row_id, known_by
FROM tapefold.bars_1m FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.bars_1m_journal
(
    market_ticker String COMMENT 'Kalshi market',
    minute DateTime64(9, 'UTC') COMMENT 'start of the minute, UTC',
    open Nullable(Decimal(18, 6)) COMMENT 'yes price of the first trade in dollars; NULL: no trade',
    high Nullable(Decimal(18, 6)) COMMENT 'highest yes price; NULL: no trade',
    low Nullable(Decimal(18, 6)) COMMENT 'lowest yes price; NULL: no trade',
    close Nullable(Decimal(18, 6)) COMMENT 'yes price of the last trade; NULL: no trade',
    volume Decimal(18, 4) COMMENT 'contracts traded',
    trades UInt32 COMMENT 'number of trades',
    yes_bid Nullable(Decimal(18, 6)) COMMENT 'best bid for yes at the end of the minute; NULL: no trusted quote',
    yes_ask Nullable(Decimal(18, 6)) COMMENT 'best ask for yes at the end of the minute; NULL: no trusted quote',
    closed Bool COMMENT 'the watermark has passed the minute',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use this revision',
    rev UInt64 COMMENT 'revision; grows with the set of facts folded in',
    row_id String COMMENT 'identity of the bar; the same for all its revisions',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed'
)
COMMENT 'Every published revision of every bar'
AS SELECT market_ticker, minute, open, high, low, close, volume, trades, yes_bid, yes_ask, closed, known_at, rev,
    row_id, known_by
FROM tapefold.bars_1m_journal FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.gaps
(
    kind LowCardinality(String) COMMENT 'how it was lost',
    source LowCardinality(String) COMMENT 'producer',
    channel LowCardinality(String) COMMENT 'channel of the exchange',
    market_ticker String COMMENT 'Kalshi market',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    sid Int64 COMMENT 'subscription within the connection',
    from_seq Nullable(Int64) COMMENT 'first missing number; NULL: unknown',
    to_seq Nullable(Int64) COMMENT 'last missing number; NULL: the subscription ended',
    noticed_at DateTime64(9, 'UTC') COMMENT 'when the producer noticed',
    repaired_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when a snapshot mended the book; NULL: not yet',
    row_id String COMMENT 'identity of the gap',
    rev UInt64 COMMENT '1: open, 2: repaired',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per gap'
AS SELECT kind, source, channel, market_ticker, conn, sid, from_seq, to_seq, noticed_at, repaired_at, row_id, rev,
    cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.gaps FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.dead
(
    reason LowCardinality(String) COMMENT 'why, from a closed list',
    detail String COMMENT 'expected what, was what',
    stage LowCardinality(String) COMMENT 'ingest, fold or sink',
    code_version LowCardinality(String) COMMENT 'version of the code that refused it',
    received_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when the recorder received it; NULL: it does not say',
    value_text String COMMENT 'first 4 KiB of the value, escaped',
    cause_topic LowCardinality(String) COMMENT 'topic of the refused record',
    cause_partition UInt32 COMMENT 'partition of the refused record',
    cause_offset UInt64 COMMENT 'offset of the refused record',
    cause_index UInt32 COMMENT 'place within the refused record'
)
COMMENT 'One row per refused record, stage and reason'
AS SELECT reason, detail, stage, code_version, received_at, value_text, cause_topic, cause_partition, cause_offset,
    cause_index
FROM tapefold.dead FINAL;
