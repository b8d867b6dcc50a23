-- Bars of TWS by content, what was fetched and what could not be, outages, errors.

CREATE TABLE IF NOT EXISTS tapefold.raw_tws_bars
(
    symbol LowCardinality(String) COMMENT 'name under which the user knows the contract',
    con_id Nullable(Int64) COMMENT 'Interactive Brokers\' id of the contract; NULL: not told',
    what_to_show LowCardinality(String) COMMENT 'TRADES, MIDPOINT, BID, ASK, BID_ASK or ADJUSTED_LAST',
    bar_size LowCardinality(String) COMMENT 'as TWS spells it, such as 1 min',
    use_rth Nullable(Bool) COMMENT 'regular trading hours only; NULL: not told',
    end_at DateTime64(9, 'UTC') COMMENT 'end of the bar: its start and its size' CODEC(Delta, ZSTD(1)),
    open Decimal(18, 6) COMMENT 'first price',
    high Decimal(18, 6) COMMENT 'highest price',
    low Decimal(18, 6) COMMENT 'lowest price',
    close Decimal(18, 6) COMMENT 'last price',
    volume Nullable(Decimal(18, 4)) COMMENT 'units traded; NULL: these bars have none',
    average Nullable(Decimal(18, 6)) COMMENT 'volume-weighted price; NULL: these bars have none',
    count Nullable(Int64) COMMENT 'trades; NULL: these bars have none',
    finished Bool COMMENT 'nothing more is added to it; a later answer may still correct it',
    terms String COMMENT 'what else a recorded file says of the bar, JSON' CODEC(ZSTD(3)),
    told_by LowCardinality(String) COMMENT 'answer to a request, update or realtime of a live one, or a recorded file',
    event_at DateTime64(9, 'UTC') COMMENT 'start of the bar' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it; of a file that says nothing of it: known_at' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    _content UInt64 MATERIALIZED sipHash64(
        open, high, low, close, ifNull(toString(volume), '-'), ifNull(toString(average), '-'), ifNull(toString(count), '-')
    ) COMMENT 'of the values: another content is another revision, and both stay',
    -- the winner is the smallest (known_at, topic, partition, offset, index), as in 0003: ReplacingMergeTree keeps the largest
    _rank UInt256 MATERIALIZED bitNot(
        bitShiftLeft(toUInt256(toUnixTimestamp64Nano(known_at)), 192)
        + bitShiftLeft(toUInt256(reinterpretAsUInt128(reverse(toFixedString(substring(cause_topic, 1, 13), 16)))), 64)
        + bitShiftLeft(toUInt256(cause_partition), 72)
        + bitShiftLeft(toUInt256(cause_offset), 24)
        + toUInt256(cause_index)
    ) COMMENT 'the larger, the earlier the telling'
)
ENGINE = ReplacingMergeTree(_rank)
PARTITION BY toYYYYMM(event_at)
ORDER BY (symbol, con_id, what_to_show, bar_size, use_rth, event_at, finished, _content)
SETTINGS allow_nullable_key = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Bars of TWS: every content that was told of a bar, by its earliest telling';

CREATE TABLE IF NOT EXISTS tapefold.tws_units
(
    symbol LowCardinality(String) COMMENT 'name under which the user knows the contract',
    con_id Nullable(Int64) COMMENT 'Interactive Brokers\' id of the contract; NULL: not told',
    what_to_show LowCardinality(String) COMMENT 'TRADES, MIDPOINT, BID, ASK, BID_ASK or ADJUSTED_LAST',
    bar_size LowCardinality(String) COMMENT 'as TWS spells it, such as 1 min',
    use_rth Nullable(Bool) COMMENT 'regular trading hours only; NULL: not told',
    date String COMMENT 'the day of the plan, as the exchange counts days',
    to_at DateTime64(9, 'UTC') COMMENT 'end of the interval asked for' CODEC(Delta, ZSTD(1)),
    status LowCardinality(String) COMMENT 'complete: bars came, or TWS itself said that there are none; else failed',
    bars Int64 COMMENT 'finished bars that came',
    attempts Int64 COMMENT 'requests made',
    reason LowCardinality(Nullable(String)) COMMENT 'what the code means to us, of a closed list; NULL: nothing bad',
    code Nullable(Int64) COMMENT 'TWS\'s error code; NULL: none',
    text Nullable(String) COMMENT 'TWS\'s words; NULL: none',
    event_at DateTime64(9, 'UTC') COMMENT 'start of the interval asked for' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it; of a file that says nothing of it: known_at' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_at)
ORDER BY (symbol, con_id, what_to_show, bar_size, use_rth, event_at, to_at, received_at, cause_topic, cause_partition, cause_offset)
SETTINGS allow_nullable_key = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Fetches of a symbol and day, and how each ended';

CREATE TABLE IF NOT EXISTS tapefold.tws_outages
(
    outage_id String COMMENT 'connection and beginning',
    ended_at Nullable(DateTime64(9, 'UTC')) COMMENT 'end; NULL: it lasts, or nobody told' CODEC(Delta, ZSTD(1)),
    data_lost Nullable(Bool) COMMENT 'what the restoring code said; NULL: no such code came',
    symbols Array(String) COMMENT 'symbols that were recorded live',
    reason LowCardinality(Nullable(String)) COMMENT 'what the code means to us, of a closed list; NULL: nothing bad',
    code Nullable(Int64) COMMENT 'TWS\'s error code; NULL: none',
    text Nullable(String) COMMENT 'TWS\'s words; NULL: none',
    event_at DateTime64(9, 'UTC') COMMENT 'beginning' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it; of a file that says nothing of it: known_at' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    _ended UInt8 MATERIALIZED isNotNull(ended_at) COMMENT '1: its end is told'
)
ENGINE = ReplacingMergeTree(_ended)
PARTITION BY toYYYYMM(event_at)
ORDER BY (outage_id)
SETTINGS allow_nullable_key = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Times in which bars may have been missed; the end replaces the beginning';

CREATE TABLE IF NOT EXISTS tapefold.tws_errors
(
    symbol LowCardinality(Nullable(String)) COMMENT 'symbol of the request; NULL: of no request',
    req_id Nullable(Int64) COMMENT 'request within the connection; NULL: of no request',
    reason LowCardinality(Nullable(String)) COMMENT 'what the code means to us, of a closed list; NULL: nothing bad',
    code Nullable(Int64) COMMENT 'TWS\'s error code; NULL: none',
    text Nullable(String) COMMENT 'TWS\'s words; NULL: none',
    event_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it; of a file that says nothing of it: known_at' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_at)
ORDER BY (event_at, cause_topic, cause_partition, cause_offset)
SETTINGS allow_nullable_key = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What TWS said with a code, notices of good health included';

CREATE VIEW IF NOT EXISTS tapefold_api.raw_tws_bars
(
    symbol LowCardinality(String) COMMENT 'name under which the user knows the contract',
    con_id Nullable(Int64) COMMENT 'Interactive Brokers\' id of the contract; NULL: not told',
    what_to_show LowCardinality(String) COMMENT 'TRADES, MIDPOINT, BID, ASK, BID_ASK or ADJUSTED_LAST',
    bar_size LowCardinality(String) COMMENT 'as TWS spells it, such as 1 min',
    use_rth Nullable(Bool) COMMENT 'regular trading hours only; NULL: not told',
    end_at DateTime64(9, 'UTC') COMMENT 'end of the bar: its start and its size',
    open Decimal(18, 6) COMMENT 'first price',
    high Decimal(18, 6) COMMENT 'highest price',
    low Decimal(18, 6) COMMENT 'lowest price',
    close Decimal(18, 6) COMMENT 'last price',
    volume Nullable(Decimal(18, 4)) COMMENT 'units traded; NULL: these bars have none',
    average Nullable(Decimal(18, 6)) COMMENT 'volume-weighted price; NULL: these bars have none',
    count Nullable(Int64) COMMENT 'trades; NULL: these bars have none',
    finished Bool COMMENT 'nothing more is added to it; a later answer may still correct it',
    terms String COMMENT 'what else a recorded file says of the bar, JSON',
    told_by LowCardinality(String) COMMENT 'answer to a request, update or realtime of a live one, or a recorded file',
    event_at DateTime64(9, 'UTC') COMMENT 'start of the bar',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it; of a file that says nothing of it: known_at',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'Bars of TWS, every revision: unfinished ones while they grew, and corrections; one row per content'
AS SELECT symbol, con_id, what_to_show, bar_size, use_rth, end_at, open, high, low, close, volume, average, count,
    finished, terms, told_by, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition,
    cause_offset, cause_index
FROM tapefold.raw_tws_bars FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.tws_units
(
    symbol LowCardinality(String) COMMENT 'name under which the user knows the contract',
    con_id Nullable(Int64) COMMENT 'Interactive Brokers\' id of the contract; NULL: not told',
    what_to_show LowCardinality(String) COMMENT 'TRADES, MIDPOINT, BID, ASK, BID_ASK or ADJUSTED_LAST',
    bar_size LowCardinality(String) COMMENT 'as TWS spells it, such as 1 min',
    use_rth Nullable(Bool) COMMENT 'regular trading hours only; NULL: not told',
    date String COMMENT 'the day of the plan, as the exchange counts days',
    to_at DateTime64(9, 'UTC') COMMENT 'end of the interval asked for',
    status LowCardinality(String) COMMENT 'complete: bars came, or TWS itself said that there are none; else failed',
    bars Int64 COMMENT 'finished bars that came',
    attempts Int64 COMMENT 'requests made',
    reason LowCardinality(Nullable(String)) COMMENT 'what the code means to us, of a closed list; NULL: nothing bad',
    code Nullable(Int64) COMMENT 'TWS\'s error code; NULL: none',
    text Nullable(String) COMMENT 'TWS\'s words; NULL: none',
    event_at DateTime64(9, 'UTC') COMMENT 'start of the interval asked for',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it; of a file that says nothing of it: known_at',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'Fetches of a symbol and day, and how each ended; the latest one counts'
AS SELECT symbol, con_id, what_to_show, bar_size, use_rth, date, to_at, status, bars, attempts, reason, code, text,
    event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.tws_units FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.tws_outages
(
    outage_id String COMMENT 'connection and beginning',
    ended_at Nullable(DateTime64(9, 'UTC')) COMMENT 'end; NULL: it lasts, or nobody told',
    data_lost Nullable(Bool) COMMENT 'what the restoring code said; NULL: no such code came',
    symbols Array(String) COMMENT 'symbols that were recorded live',
    reason LowCardinality(Nullable(String)) COMMENT 'what the code means to us, of a closed list; NULL: nothing bad',
    code Nullable(Int64) COMMENT 'TWS\'s error code; NULL: none',
    text Nullable(String) COMMENT 'TWS\'s words; NULL: none',
    event_at DateTime64(9, 'UTC') COMMENT 'beginning',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it; of a file that says nothing of it: known_at',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'Times in which bars may have been missed, one row each'
AS SELECT outage_id, ended_at, data_lost, symbols, reason, code, text, event_at, received_at, known_at, known_by, conn,
    cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.tws_outages FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.tws_errors
(
    symbol LowCardinality(Nullable(String)) COMMENT 'symbol of the request; NULL: of no request',
    req_id Nullable(Int64) COMMENT 'request within the connection; NULL: of no request',
    reason LowCardinality(Nullable(String)) COMMENT 'what the code means to us, of a closed list; NULL: nothing bad',
    code Nullable(Int64) COMMENT 'TWS\'s error code; NULL: none',
    text Nullable(String) COMMENT 'TWS\'s words; NULL: none',
    event_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it; of a file that says nothing of it: known_at',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'connection that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'What TWS said with a code'
AS SELECT symbol, req_id, reason, code, text, event_at, received_at, known_at, known_by, conn, cause_topic,
    cause_partition, cause_offset, cause_index
FROM tapefold.tws_errors FINAL;
