-- The views of the tables that got a column `extra` show it.

CREATE OR REPLACE VIEW tapefold_api.annotations_journal
(
    annotation_id String COMMENT 'name of the decision',
    version UInt32 COMMENT 'version',
    dataset LowCardinality(String) COMMENT 'dataset that it is about',
    keys Array(String) COMMENT 'symbols, markets, series or stations that it is about; empty: all',
    from_at DateTime64(9, 'UTC') COMMENT 'it is about rows from this time on',
    to_at DateTime64(9, 'UTC') COMMENT 'end of the range, not included',
    verdict LowCardinality(String) COMMENT 'accepted, annotated, unusable or withdrawn',
    note String COMMENT 'why',
    author LowCardinality(String) COMMENT 'who decided; empty: not told',
    known_at DateTime64(9, 'UTC') COMMENT 'when it was written',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'Every version of every decision'
AS SELECT annotation_id, version, dataset, keys, from_at, to_at, verdict, note, author, known_at, extra
FROM tapefold.annotations FINAL;

CREATE OR REPLACE VIEW tapefold_api.asof_policies
(
    policy_id LowCardinality(String) COMMENT 'name of the policy',
    version UInt32 COMMENT 'version; the latest one is that of mos_asof',
    at String COMMENT 'as-of time of target day D',
    calendar LowCardinality(String) COMMENT 'what a day is',
    models Array(String) COMMENT 'models that are asked for each day',
    max_staleness_s Int64 COMMENT 'longest time from the nominal time of a run to the as-of time',
    needs LowCardinality(String) COMMENT 'value without which a run is no answer: tmax or tmin',
    knowledge LowCardinality(String) COMMENT 'what counts as known: stated, observed, modelled, fixed_lag or run_time',
    lags_s Map(String, Int64) COMMENT 'by model: not known before the run and this many seconds',
    quantile Nullable(Float64) COMMENT 'of measured lags, with knowledge modelled',
    unsafe Bool COMMENT 'the policy does not ask when a run was known',
    description String COMMENT 'what it is for',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'As-of policies, every version'
AS SELECT policy_id, version, at, calendar, models, max_staleness_s, needs, knowledge, lags_s, quantile, unsafe,
    description, extra
FROM tapefold.asof_policies FINAL;

CREATE OR REPLACE VIEW tapefold_api.bars_1m
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
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'One-minute bars, the latest revision of each'
AS SELECT market_ticker, minute, open, high, low, close, volume, trades, yes_bid, yes_ask, closed, known_at, rev,
    row_id, known_by, extra
FROM tapefold.bars_1m FINAL;

CREATE OR REPLACE VIEW tapefold_api.bars_1m_journal
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
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'Every published revision of every bar'
AS SELECT market_ticker, minute, open, high, low, close, volume, trades, yes_bid, yes_ask, closed, known_at, rev,
    row_id, known_by, extra
FROM tapefold.bars_1m_journal FINAL;

CREATE OR REPLACE VIEW tapefold_api.beats
(
    source LowCardinality(String) COMMENT 'producer',
    conn LowCardinality(String) COMMENT 'connection',
    raw_partition UInt32 COMMENT 'raw partition that the beat stood on',
    clock_at DateTime64(9, 'UTC') COMMENT 'the producer\'s clock',
    lease_ns Int64 COMMENT 'after this much silence nobody needs to wait for it',
    bye Bool COMMENT 'the connection is gone for good',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'The latest beat of each connection on each raw partition'
AS SELECT source, conn, raw_partition, clock_at, lease_ns, bye, extra
FROM tapefold.beats FINAL;

CREATE OR REPLACE VIEW tapefold_api.books
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
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'Best levels after each change, by session: one row per change'
AS SELECT market_ticker, conn, sid, seq, kind, side, price, delta, trusted, yes_bid, yes_bid_size, yes_ask,
    yes_ask_size, event_at, received_at, known_at, known_by, cause_topic, cause_partition, cause_offset, cause_index,
    extra
FROM tapefold.books FINAL;

CREATE OR REPLACE VIEW tapefold_api.climate_years
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    year Int64 COMMENT 'year of the climate days',
    days Int64 COMMENT 'days that the answer had',
    from_day Nullable(Date32) COMMENT 'first day that was to be there',
    to_day Nullable(Date32) COMMENT 'last day that was to be there',
    missing_days Array(String) COMMENT 'days between that were not there',
    status Nullable(Int64) COMMENT 'HTTP status of the answer; NULL: read from a file',
    reason LowCardinality(Nullable(String)) COMMENT 'why the answer is not whole; NULL: every day was there',
    event_at DateTime64(9, 'UTC') COMMENT 'first moment of the year',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'One row per answer: which days of a year were there'
AS SELECT station, year, days, from_day, to_day, missing_days, status, reason, event_at, received_at, known_at,
    known_by, conn, cause_topic, cause_partition, cause_offset, cause_index, extra
FROM tapefold.climate_years FINAL;

CREATE OR REPLACE VIEW tapefold_api.coverage
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
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'What was recorded, and until when; an open interval is proven up to last_beat_at'
AS SELECT source, channel, market_ticker, conn, sid, started_at, ended_at, ended_by, last_beat_at, event_at,
    received_at, known_at, known_by, cause_topic, cause_partition, cause_offset, cause_index, extra
FROM (SELECT * FROM tapefold.coverage FINAL) AS intervals
LEFT JOIN (
    SELECT conn, toNullable(max(clock_at)) AS last_beat_at FROM tapefold.beats GROUP BY conn
) AS beats USING (conn);

CREATE OR REPLACE VIEW tapefold_api.curated_tws_1m_bars
(
    symbol LowCardinality(String) COMMENT 'name under which the user knows the contract',
    con_id Nullable(Int64) COMMENT 'Interactive Brokers\' id of the contract; NULL: not told',
    what_to_show LowCardinality(String) COMMENT 'TRADES, MIDPOINT, BID, ASK, BID_ASK or ADJUSTED_LAST',
    use_rth Nullable(Bool) COMMENT 'regular trading hours only; NULL: not told',
    minute DateTime64(9, 'UTC') COMMENT 'start of the minute',
    open Decimal(18, 6) COMMENT 'first price',
    high Decimal(18, 6) COMMENT 'highest price',
    low Decimal(18, 6) COMMENT 'lowest price',
    close Decimal(18, 6) COMMENT 'last price',
    volume Nullable(Decimal(18, 4)) COMMENT 'units traded; NULL: these bars have none',
    average Nullable(Decimal(18, 6)) COMMENT 'volume-weighted price; NULL: these bars have none',
    count Nullable(Int64) COMMENT 'trades; NULL: these bars have none',
    contents UInt32 COMMENT 'distinct contents that were told; above 1 it was corrected',
    known_at DateTime64(9, 'UTC') COMMENT 'since when this content holds; no decision before may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    rev UInt64 COMMENT 'revision: finished tellings folded in',
    row_id String COMMENT 'identity of the bar; the same for all its revisions',
    cause_topic LowCardinality(String) COMMENT 'raw topic of the telling that holds',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'One row per finished minute of TWS: the content that holds'
AS SELECT symbol, con_id, what_to_show, use_rth, minute, open, high, low, close, volume, average, count, contents,
    known_at, known_by, rev, row_id, cause_topic, cause_partition, cause_offset, cause_index, extra
FROM tapefold.curated_tws_1m_bars FINAL;

CREATE OR REPLACE VIEW tapefold_api.dead
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
    cause_index UInt32 COMMENT 'place within the refused record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'One row per refused record, stage and reason'
AS SELECT reason, detail, stage, code_version, received_at, value_text, cause_topic, cause_partition,
    cause_offset, cause_index, extra
FROM tapefold.dead FINAL;

CREATE OR REPLACE VIEW tapefold_api.documents
(
    kind LowCardinality(String) COMMENT 'status, schedule, cutoff, event_metadata or listing',
    subject String COMMENT 'path that was asked for',
    body String COMMENT 'JSON as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'One row per answer that is kept whole'
AS SELECT kind, subject, body, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition,
    cause_offset, cause_index, extra
FROM tapefold.documents FINAL;

CREATE OR REPLACE VIEW tapefold_api.forecast_runs
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    model LowCardinality(String) COMMENT 'model as asked for',
    run_at DateTime64(9, 'UTC') COMMENT 'nominal time of the run',
    seen LowCardinality(String) COMMENT 'first: came while we watched; pre_existing: was there when we first asked; archive: history',
    valid_times Int64 COMMENT 'distinct valid times in the answer',
    conflicts Int64 COMMENT 'valid times that came with more than one content',
    expected Nullable(Int64) COMMENT 'valid times that the calendar promises; NULL: it knows no such run',
    last_valid_at Nullable(DateTime64(9, 'UTC')) COMMENT 'last valid time in the answer',
    absent_at Nullable(DateTime64(9, 'UTC')) COMMENT 'our last answer without the whole run; NULL: we had not asked',
    status Nullable(Int64) COMMENT 'HTTP status of the answer; NULL: read from a file',
    reason LowCardinality(Nullable(String)) COMMENT 'why the run is not whole; NULL: positive evidence that it is',
    event_at DateTime64(9, 'UTC') COMMENT 'nominal time of the run',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'One row per run and answer: whether the run was whole in it, and why not'
AS SELECT station, model, run_at, seen, valid_times, conflicts, expected, last_valid_at, absent_at, status,
    reason, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index,
    extra
FROM tapefold.forecast_runs FINAL;

CREATE OR REPLACE VIEW tapefold_api.gaps
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
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'One row per gap'
AS SELECT kind, source, channel, market_ticker, conn, sid, from_seq, to_seq, noticed_at, repaired_at, row_id, rev,
    cause_topic, cause_partition, cause_offset, cause_index, extra
FROM tapefold.gaps FINAL;

CREATE OR REPLACE VIEW tapefold_api.market_versions
(
    market_ticker String COMMENT 'Kalshi market',
    event_ticker LowCardinality(String) COMMENT 'event it belongs to',
    series_ticker LowCardinality(String) COMMENT 'series, as the ticker says',
    revision String COMMENT 'hash of the content; other content is another revision',
    market_type LowCardinality(Nullable(String)) COMMENT 'binary or scalar; NULL: not told',
    title Nullable(String) COMMENT 'question; NULL: not told',
    subtitle Nullable(String) COMMENT 'as sent; NULL: not told',
    yes_sub_title Nullable(String) COMMENT 'what yes means; NULL: not told',
    no_sub_title Nullable(String) COMMENT 'as sent; NULL: not told',
    open_at Nullable(DateTime64(9, 'UTC')) COMMENT 'opening; NULL: not told',
    close_at Nullable(DateTime64(9, 'UTC')) COMMENT 'close; NULL: not told',
    created_at Nullable(DateTime64(9, 'UTC')) COMMENT 'creation; NULL: not told',
    updated_at Nullable(DateTime64(9, 'UTC')) COMMENT 'last change of metadata; NULL: not told',
    expected_expiration_at Nullable(DateTime64(9, 'UTC')) COMMENT 'as sent; NULL: not told',
    latest_expiration_at Nullable(DateTime64(9, 'UTC')) COMMENT 'as sent; NULL: not told',
    settlement_timer_s Nullable(Int64) COMMENT 'seconds between determination and settlement; NULL: not told',
    can_close_early Nullable(Bool) COMMENT 'as sent; NULL: not told',
    early_close_condition Nullable(String) COMMENT 'as sent; NULL: not told',
    strike_type LowCardinality(Nullable(String)) COMMENT 'greater, less, between and others; NULL: not told',
    floor_strike Nullable(Decimal(18, 6)) COMMENT 'least value for yes; greater excludes it; NULL: none',
    cap_strike Nullable(Decimal(18, 6)) COMMENT 'greatest value for yes; less excludes it; NULL: none',
    rules_primary Nullable(String) COMMENT 'as sent; NULL: not told',
    rules_secondary Nullable(String) COMMENT 'as sent; NULL: not told',
    price_level_structure LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    price_ranges String COMMENT 'valid prices, JSON as sent',
    climate_day LowCardinality(Nullable(String)) COMMENT 'climate day, YYYY-MM-DD, midnight to midnight standard time; NULL: no weather',
    station LowCardinality(Nullable(String)) COMMENT 'station that settles it; NULL: no weather',
    cli LowCardinality(Nullable(String)) COMMENT 'climate report that the rules name; NULL: they name none',
    measure LowCardinality(Nullable(String)) COMMENT 'high or low; NULL: no weather',
    settlement_source LowCardinality(Nullable(String)) COMMENT 'nws or twc, by the rules; NULL: they name neither',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'One row per content of a market\'s contract, by its earliest telling'
AS SELECT market_ticker, event_ticker, series_ticker, revision, market_type, title, subtitle, yes_sub_title,
    no_sub_title, open_at, close_at, created_at, updated_at, expected_expiration_at, latest_expiration_at,
    settlement_timer_s, can_close_early, early_close_condition, strike_type, floor_strike, cap_strike, rules_primary,
    rules_secondary, price_level_structure, price_ranges, climate_day, station, cli, measure, settlement_source,
    event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index, extra
FROM tapefold.market_terms FINAL;

CREATE OR REPLACE VIEW tapefold_api.markets
(
    market_ticker String COMMENT 'Kalshi market',
    event_ticker LowCardinality(String) COMMENT 'event it belongs to',
    series_ticker LowCardinality(String) COMMENT 'series, as the ticker says',
    revision String COMMENT 'hash of the content; other content is another revision',
    market_type LowCardinality(Nullable(String)) COMMENT 'binary or scalar; NULL: not told',
    title Nullable(String) COMMENT 'question; NULL: not told',
    subtitle Nullable(String) COMMENT 'as sent; NULL: not told',
    yes_sub_title Nullable(String) COMMENT 'what yes means; NULL: not told',
    no_sub_title Nullable(String) COMMENT 'as sent; NULL: not told',
    open_at Nullable(DateTime64(9, 'UTC')) COMMENT 'opening; NULL: not told',
    close_at Nullable(DateTime64(9, 'UTC')) COMMENT 'close; NULL: not told',
    created_at Nullable(DateTime64(9, 'UTC')) COMMENT 'creation; NULL: not told',
    updated_at Nullable(DateTime64(9, 'UTC')) COMMENT 'last change of metadata; NULL: not told',
    expected_expiration_at Nullable(DateTime64(9, 'UTC')) COMMENT 'as sent; NULL: not told',
    latest_expiration_at Nullable(DateTime64(9, 'UTC')) COMMENT 'as sent; NULL: not told',
    settlement_timer_s Nullable(Int64) COMMENT 'seconds between determination and settlement; NULL: not told',
    can_close_early Nullable(Bool) COMMENT 'as sent; NULL: not told',
    early_close_condition Nullable(String) COMMENT 'as sent; NULL: not told',
    strike_type LowCardinality(Nullable(String)) COMMENT 'greater, less, between and others; NULL: not told',
    floor_strike Nullable(Decimal(18, 6)) COMMENT 'least value for yes; greater excludes it; NULL: none',
    cap_strike Nullable(Decimal(18, 6)) COMMENT 'greatest value for yes; less excludes it; NULL: none',
    rules_primary Nullable(String) COMMENT 'as sent; NULL: not told',
    rules_secondary Nullable(String) COMMENT 'as sent; NULL: not told',
    price_level_structure LowCardinality(Nullable(String)) COMMENT 'as sent; NULL: not told',
    price_ranges String COMMENT 'valid prices, JSON as sent',
    climate_day LowCardinality(Nullable(String)) COMMENT 'climate day, YYYY-MM-DD, midnight to midnight standard time; NULL: no weather',
    station LowCardinality(Nullable(String)) COMMENT 'station that settles it; NULL: no weather',
    cli LowCardinality(Nullable(String)) COMMENT 'climate report that the rules name; NULL: they name none',
    measure LowCardinality(Nullable(String)) COMMENT 'high or low; NULL: no weather',
    settlement_source LowCardinality(Nullable(String)) COMMENT 'nws or twc, by the rules; NULL: they name neither',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'One row per market: its contract in the latest version'
AS SELECT market_ticker, event_ticker, series_ticker, revision, market_type, title, subtitle, yes_sub_title,
    no_sub_title, open_at, close_at, created_at, updated_at, expected_expiration_at, latest_expiration_at,
    settlement_timer_s, can_close_early, early_close_condition, strike_type, floor_strike, cap_strike, rules_primary,
    rules_secondary, price_level_structure, price_ranges, climate_day, station, cli, measure, settlement_source,
    event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index, extra
FROM tapefold.market_terms FINAL
ORDER BY market_ticker, updated_at DESC NULLS LAST, known_at DESC, revision
LIMIT 1 BY market_ticker;

CREATE OR REPLACE VIEW tapefold_api.mos_asof_journal
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    target_date_local Date32 COMMENT 'climate day that is asked for: midnight to midnight local standard time',
    model LowCardinality(String) COMMENT 'model that is asked: GFS, MEX, NAM, NBS or NBE',
    policy_id LowCardinality(String) COMMENT 'policy that asks',
    policy_version UInt32 COMMENT 'version of the policy',
    series_tickers Array(String) COMMENT 'weather series that settle on the station',
    asof_utc DateTime64(9, 'UTC') COMMENT 'as-of time of the policy',
    chosen_run_utc Nullable(DateTime64(9, 'UTC')) COMMENT 'nominal time of the chosen run; NULL: none, see missing_reason',
    known_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when the values were known, by the rule of the policy; NULL: no run was chosen',
    known_by LowCardinality(Nullable(String)) COMMENT 'how we know that: observed, modelled or assumed; NULL: no run was chosen',
    tmax_f Nullable(Int64) COMMENT 'maximum of the day by the chosen run, degrees Fahrenheit',
    tmin_f Nullable(Int64) COMMENT 'minimum of the day by the chosen run, degrees Fahrenheit; NULL: it does not tell',
    lead_hours Nullable(Int64) COMMENT 'hours from the run to the valid time of the value that the policy needs',
    missing_reason LowCardinality(Nullable(String)) COMMENT 'why no run was chosen: pending, no_run, not_observed, known_too_late, too_stale or no_value; NULL: one was',
    unsafe Bool COMMENT 'the policy does not ask when a run was known',
    inputs Array(Tuple(topic String, partition UInt32, offset UInt64, place UInt32)) COMMENT 'where the values stand on the raw log',
    rev UInt64 COMMENT 'rank of chosen run and revisions, or of the reason; grows with the set of facts',
    row_id String COMMENT 'identity of the row; the same for all its revisions',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'Every published revision of every as-of forecast, of all versions of the policies'
AS SELECT station, target_date_local, model, policy_id, policy_version, series_tickers, asof_utc, chosen_run_utc,
    known_at, known_by, tmax_f, tmin_f, lead_hours, missing_reason, unsafe, inputs, rev, row_id, extra
FROM tapefold.mos_asof_journal FINAL;

CREATE OR REPLACE VIEW tapefold_api.raw_tws_bars
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
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'Bars of TWS, every revision: unfinished ones while they grew, and corrections; one row per content'
AS SELECT symbol, con_id, what_to_show, bar_size, use_rth, end_at, open, high, low, close, volume, average, count,
    finished, terms, told_by, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition,
    cause_offset, cause_index, extra
FROM tapefold.raw_tws_bars FINAL;

CREATE OR REPLACE VIEW tapefold_api.settlement_labels
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    series_ticker LowCardinality(String) COMMENT 'weather series that settles on it',
    target_date_local Date32 COMMENT 'climate day: midnight to midnight local standard time',
    measure LowCardinality(String) COMMENT 'high or low: which value of the day the series settles on',
    era LowCardinality(String) COMMENT 'who settles: nws, the climate report; twc, The Weather Company, for which it is a proxy',
    check_utc Nullable(DateTime64(9, 'UTC')) COMMENT 'when the venue looked; NULL: no final report is known',
    check_by LowCardinality(Nullable(String)) COMMENT 'venue: it said when it settled; rule: by the rule of the era',
    label_f Nullable(Int64) COMMENT 'value of the last final report issued by the check, degrees Fahrenheit',
    product Nullable(String) COMMENT 'that report',
    known_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when the label was known: not before the check, nor before the report',
    known_by LowCardinality(Nullable(String)) COMMENT 'how that is known: observed, modelled or assumed',
    missing_reason LowCardinality(Nullable(String)) COMMENT 'why there is no label: no_report, not_final, after_expiration, no_value',
    venue_value_f Nullable(Int64) COMMENT 'whole degrees that the venue says it settled on; NULL: it says no such number',
    venue_value Nullable(String) COMMENT 'what it says, as told',
    venue_known_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when that was known',
    venue_settled_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when it says it settled',
    agrees Nullable(Bool) COMMENT 'label and value of the venue are equal; NULL: one of them is missing',
    reports Array(Tuple(
        issued_at DateTime64(9, 'UTC'), known_at DateTime64(9, 'UTC'), known_by String, value_f Nullable(Int64),
        report String, product String, topic String, partition UInt32, offset UInt64, place UInt32
    )) COMMENT 'every report of the day, oldest first, each known at its own time',
    rev UInt64 COMMENT 'grows with the set of reports and outcomes',
    row_id String COMMENT 'identity of the row; the same for all its revisions',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'What each series settles on: the report as it stood at the check of the venue, and what the venue says'
AS SELECT station, series_ticker, target_date_local, measure, era, check_utc, check_by, label_f, product,
    known_at, known_by, missing_reason, venue_value_f, venue_value, venue_known_at, venue_settled_at, agrees, reports,
    rev, row_id, extra
FROM tapefold.settlement_labels FINAL;

CREATE OR REPLACE VIEW tapefold_api.settlement_versions
(
    market_ticker String COMMENT 'Kalshi market',
    event_ticker LowCardinality(String) COMMENT 'event it belongs to',
    status LowCardinality(String) COMMENT 'determined, disputed, amended or finalized; only the last is final',
    result LowCardinality(Nullable(String)) COMMENT 'yes, no or scalar; NULL: not told',
    expiration_value Nullable(String) COMMENT 'value that decided, as sent; NULL: not told',
    expiration_number Nullable(Decimal(18, 6)) COMMENT 'the same where it is a number; NULL: it is none',
    settlement_value Nullable(Decimal(18, 6)) COMMENT 'dollars per yes contract; NULL: not told',
    settled_at Nullable(DateTime64(9, 'UTC')) COMMENT 'settlement; NULL: not told',
    climate_day LowCardinality(Nullable(String)) COMMENT 'climate day, YYYY-MM-DD, midnight to midnight standard time; NULL: no weather',
    station LowCardinality(Nullable(String)) COMMENT 'station that settles it; NULL: no weather',
    settlement_source LowCardinality(Nullable(String)) COMMENT 'nws or twc, by the rules; NULL: they name neither',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened, or what it speaks of begins',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'One row per content of an outcome, by its earliest telling'
AS SELECT market_ticker, event_ticker, status, result, expiration_value, expiration_number, settlement_value,
    settled_at, climate_day, station, settlement_source, event_at, received_at, known_at, known_by, conn, cause_topic,
    cause_partition, cause_offset, cause_index, extra
FROM tapefold.settlements FINAL;

CREATE OR REPLACE VIEW tapefold_api.tws_errors
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
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'What TWS said with a code'
AS SELECT symbol, req_id, reason, code, text, event_at, received_at, known_at, known_by, conn, cause_topic,
    cause_partition, cause_offset, cause_index, extra
FROM tapefold.tws_errors FINAL;

CREATE OR REPLACE VIEW tapefold_api.tws_outages
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
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'Times in which bars may have been missed, one row each'
AS SELECT outage_id, ended_at, data_lost, symbols, reason, code, text, event_at, received_at, known_at, known_by,
    conn, cause_topic, cause_partition, cause_offset, cause_index, extra
FROM tapefold.tws_outages FINAL;

CREATE OR REPLACE VIEW tapefold_api.tws_units
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
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'Fetches of a symbol and day, and how each ended; the latest one counts'
AS SELECT symbol, con_id, what_to_show, bar_size, use_rth, date, to_at, status, bars, attempts, reason, code,
    text, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index,
    extra
FROM tapefold.tws_units FINAL;

CREATE OR REPLACE VIEW tapefold_api.webhooks
(
    provider LowCardinality(String) COMMENT 'who sent it',
    event_id String COMMENT 'the sender\'s id of the event, the same on every delivery',
    event_type LowCardinality(Nullable(String)) COMMENT 'what happened; NULL: not told',
    object_id Nullable(String) COMMENT 'what it happened to; NULL: not told',
    scheme LowCardinality(String) COMMENT 'how it was signed: standard or stripe',
    event_by LowCardinality(String) COMMENT 'where event_at stands: payload, signed or received',
    signed_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when it was signed; NULL: the signature was not verified',
    verified Bool COMMENT 'the signature was verified',
    content String COMMENT 'digest of what is material in the payload, hexadecimal',
    payload String COMMENT 'body as sent, without blanks between its tokens',
    conn LowCardinality(String) COMMENT 'receiver that took it',
    event_at DateTime64(9, 'UTC') COMMENT 'when it happened',
    received_at DateTime64(9, 'UTC') COMMENT 'when our receiver had it whole',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record',
    extra String COMMENT 'fields that no other column names, JSON as sent'
)
COMMENT 'One row per event of a provider; two under one id only where an operator redrove a conflicting content'
AS SELECT provider, event_id, event_type, object_id, scheme, event_by, signed_at, verified, content, payload,
    conn, event_at, received_at, known_at, known_by, cause_topic, cause_partition, cause_offset, cause_index, extra
FROM tapefold.webhook_events FINAL;
