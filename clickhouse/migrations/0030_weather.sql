-- The weather: forecasts by run, and climate reports by issuance. Nothing replaces other content.

CREATE TABLE IF NOT EXISTS tapefold.forecasts
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    model LowCardinality(String) COMMENT 'model as asked for: GFS, MEX, NAM, NBS, NBE or LAV',
    label LowCardinality(String) COMMENT 'model as sent; AVN stands within GFS, ETA within NAM',
    run_at DateTime64(9, 'UTC') COMMENT 'nominal time of the run, which is not when it was public' CODEC(Delta, ZSTD(1)),
    revision String COMMENT 'hash of the content; another one for the same valid time is a correction',
    n_x_f Nullable(Int64) COMMENT 'maximum or minimum of the 12 hours before, degrees Fahrenheit',
    txn_f Nullable(Int64) COMMENT 'maximum or minimum of the 18 hours before, degrees Fahrenheit',
    xnd_f Nullable(Int64) COMMENT 'standard deviation of txn_f',
    tmp_f Nullable(Int64) COMMENT 'temperature, degrees Fahrenheit',
    dpt_f Nullable(Int64) COMMENT 'dew point, degrees Fahrenheit',
    tsd_f Nullable(Int64) COMMENT 'standard deviation of tmp_f',
    dsd_f Nullable(Int64) COMMENT 'standard deviation of dpt_f',
    wdr_deg Nullable(Int64) COMMENT 'wind direction, degrees',
    wsp_kt Nullable(Int64) COMMENT 'wind speed, knots',
    sky_pct Nullable(Int64) COMMENT 'sky cover, percent',
    p06_pct Nullable(Int64) COMMENT 'chance of precipitation in 6 hours, percent',
    p12_pct Nullable(Int64) COMMENT 'chance of precipitation in 12 hours, percent',
    extra String COMMENT 'all other columns with a value, a JSON object with names as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'valid time of the forecast' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- The largest version stays: the winner is the smallest (known_at, cause topic, partition, offset, index), the five
    -- side by side in 8 + 13 + 2 + 6 + 3 bytes, all bits turned; the raw topics of the weather have 11 bytes.
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
ORDER BY (station, model, run_at, event_at, label, revision)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Model output statistics by content: what is told again keeps its earliest telling';

CREATE TABLE IF NOT EXISTS tapefold.forecast_runs
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    model LowCardinality(String) COMMENT 'model as asked for',
    run_at DateTime64(9, 'UTC') COMMENT 'nominal time of the run' CODEC(Delta, ZSTD(1)),
    seen LowCardinality(String) COMMENT 'first: came while we watched; pre_existing: was there when we first asked; archive: history',
    valid_times Int64 COMMENT 'distinct valid times in the answer',
    conflicts Int64 COMMENT 'valid times that came with more than one content',
    expected Nullable(Int64) COMMENT 'valid times that the calendar promises; NULL: it knows no such run',
    last_valid_at Nullable(DateTime64(9, 'UTC')) COMMENT 'last valid time in the answer',
    absent_at Nullable(DateTime64(9, 'UTC')) COMMENT 'our last answer without the whole run; NULL: we had not asked',
    status Nullable(Int64) COMMENT 'HTTP status of the answer; NULL: read from a file',
    reason LowCardinality(Nullable(String)) COMMENT 'why the run is not whole; NULL: positive evidence that it is',
    event_at DateTime64(9, 'UTC') COMMENT 'nominal time of the run' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
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
ORDER BY (station, model, run_at, cause_topic, cause_partition, cause_offset, cause_index)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What each answer showed of each run';

CREATE TABLE IF NOT EXISTS tapefold.climate
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    day Date32 COMMENT 'climate day: midnight to midnight local standard time',
    product String COMMENT 'id of the product: time of issue, office, header, name, correction',
    issued_at DateTime64(9, 'UTC') COMMENT 'when the product was issued, by its header' CODEC(Delta, ZSTD(1)),
    revision String COMMENT 'hash of the content',
    report LowCardinality(Nullable(String)) COMMENT 'preliminary: values so far; final: issued after the day; NULL: not told',
    correction Bool COMMENT 'the product says that it corrects another one',
    through_at Nullable(DateTime64(9, 'UTC')) COMMENT 'up to when a preliminary report holds; NULL: not told',
    high_f Nullable(Int64) COMMENT 'maximum temperature, degrees Fahrenheit; NULL: missing or not told',
    low_f Nullable(Int64) COMMENT 'minimum temperature, degrees Fahrenheit',
    high_time Nullable(String) COMMENT 'time of the maximum as told, local standard time',
    low_time Nullable(String) COMMENT 'time of the minimum as told, local standard time',
    high_normal_f Nullable(Int64) COMMENT 'normal maximum of the day',
    low_normal_f Nullable(Int64) COMMENT 'normal minimum of the day',
    high_record_f Nullable(Int64) COMMENT 'record maximum of the day',
    low_record_f Nullable(Int64) COMMENT 'record minimum of the day',
    precip_in Nullable(Decimal(18, 2)) COMMENT 'precipitation in inches; NULL: missing, a trace, or not told',
    snow_in Nullable(Decimal(18, 1)) COMMENT 'snowfall in inches; NULL: missing, a trace, or not told',
    snow_depth_in Nullable(Int64) COMMENT 'snow on the ground in inches',
    missing Array(String) COMMENT 'fields that were told as missing',
    trace Array(String) COMMENT 'fields that were told as a trace',
    name Nullable(String) COMMENT 'name of the place as told',
    extra String COMMENT 'all other fields, a JSON object with names as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when the product was issued' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record' CODEC(Delta, ZSTD(1)),
    cause_index UInt32 COMMENT 'place within the raw record',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1)),
    -- The largest version stays: the winner is the smallest (known_at, cause topic, partition, offset, index), the five
    -- side by side in 8 + 13 + 2 + 6 + 3 bytes, all bits turned; the raw topics of the weather have 11 bytes.
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
ORDER BY (station, day, product, revision)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Climate reports by content: what is told again keeps its earliest telling';

CREATE TABLE IF NOT EXISTS tapefold.climate_years
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    year Int64 COMMENT 'year of the climate days',
    days Int64 COMMENT 'days that the answer had',
    from_day Nullable(Date32) COMMENT 'first day that was to be there',
    to_day Nullable(Date32) COMMENT 'last day that was to be there',
    missing_days Array(String) COMMENT 'days between that were not there',
    status Nullable(Int64) COMMENT 'HTTP status of the answer; NULL: read from a file',
    reason LowCardinality(Nullable(String)) COMMENT 'why the answer is not whole; NULL: every day was there',
    event_at DateTime64(9, 'UTC') COMMENT 'first moment of the year' CODEC(Delta, ZSTD(1)),
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it' CODEC(Delta, ZSTD(1)),
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it' CODEC(Delta, ZSTD(1)),
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
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
ORDER BY (station, year, cause_topic, cause_partition, cause_offset, cause_index)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What each answer showed of a year of climate days';

CREATE VIEW IF NOT EXISTS tapefold_api.forecasts
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    model LowCardinality(String) COMMENT 'model as asked for: GFS, MEX, NAM, NBS, NBE or LAV',
    label LowCardinality(String) COMMENT 'model as sent; AVN stands within GFS, ETA within NAM',
    run_at DateTime64(9, 'UTC') COMMENT 'nominal time of the run, which is not when it was public',
    revision String COMMENT 'hash of the content; another one for the same valid time is a correction',
    n_x_f Nullable(Int64) COMMENT 'maximum or minimum of the 12 hours before, degrees Fahrenheit',
    txn_f Nullable(Int64) COMMENT 'maximum or minimum of the 18 hours before, degrees Fahrenheit',
    xnd_f Nullable(Int64) COMMENT 'standard deviation of txn_f',
    tmp_f Nullable(Int64) COMMENT 'temperature, degrees Fahrenheit',
    dpt_f Nullable(Int64) COMMENT 'dew point, degrees Fahrenheit',
    tsd_f Nullable(Int64) COMMENT 'standard deviation of tmp_f',
    dsd_f Nullable(Int64) COMMENT 'standard deviation of dpt_f',
    wdr_deg Nullable(Int64) COMMENT 'wind direction, degrees',
    wsp_kt Nullable(Int64) COMMENT 'wind speed, knots',
    sky_pct Nullable(Int64) COMMENT 'sky cover, percent',
    p06_pct Nullable(Int64) COMMENT 'chance of precipitation in 6 hours, percent',
    p12_pct Nullable(Int64) COMMENT 'chance of precipitation in 12 hours, percent',
    extra String COMMENT 'all other columns with a value, a JSON object with names as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'valid time of the forecast',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per station, model, run, valid time and content: the earliest telling of it'
AS SELECT station, model, label, run_at, revision, n_x_f, txn_f, xnd_f, tmp_f, dpt_f, tsd_f, dsd_f, wdr_deg,
    wsp_kt, sky_pct, p06_pct, p12_pct, extra, event_at, received_at, known_at, known_by, conn, cause_topic,
    cause_partition, cause_offset, cause_index
FROM tapefold.forecasts FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.forecast_runs
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
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per run and answer: whether the run was whole in it, and why not'
AS SELECT station, model, run_at, seen, valid_times, conflicts, expected, last_valid_at, absent_at, status, reason,
    event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.forecast_runs FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.climate
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    day Date32 COMMENT 'climate day: midnight to midnight local standard time',
    product String COMMENT 'id of the product: time of issue, office, header, name, correction',
    issued_at DateTime64(9, 'UTC') COMMENT 'when the product was issued, by its header',
    revision String COMMENT 'hash of the content',
    report LowCardinality(Nullable(String)) COMMENT 'preliminary: values so far; final: issued after the day; NULL: not told',
    correction Bool COMMENT 'the product says that it corrects another one',
    through_at Nullable(DateTime64(9, 'UTC')) COMMENT 'up to when a preliminary report holds; NULL: not told',
    high_f Nullable(Int64) COMMENT 'maximum temperature, degrees Fahrenheit; NULL: missing or not told',
    low_f Nullable(Int64) COMMENT 'minimum temperature, degrees Fahrenheit',
    high_time Nullable(String) COMMENT 'time of the maximum as told, local standard time',
    low_time Nullable(String) COMMENT 'time of the minimum as told, local standard time',
    high_normal_f Nullable(Int64) COMMENT 'normal maximum of the day',
    low_normal_f Nullable(Int64) COMMENT 'normal minimum of the day',
    high_record_f Nullable(Int64) COMMENT 'record maximum of the day',
    low_record_f Nullable(Int64) COMMENT 'record minimum of the day',
    precip_in Nullable(Decimal(18, 2)) COMMENT 'precipitation in inches; NULL: missing, a trace, or not told',
    snow_in Nullable(Decimal(18, 1)) COMMENT 'snowfall in inches; NULL: missing, a trace, or not told',
    snow_depth_in Nullable(Int64) COMMENT 'snow on the ground in inches',
    missing Array(String) COMMENT 'fields that were told as missing',
    trace Array(String) COMMENT 'fields that were told as a trace',
    name Nullable(String) COMMENT 'name of the place as told',
    extra String COMMENT 'all other fields, a JSON object with names as sent',
    event_at DateTime64(9, 'UTC') COMMENT 'when the product was issued',
    received_at DateTime64(9, 'UTC') COMMENT 'when our recorder received it',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use it',
    known_by LowCardinality(String) COMMENT 'how we know that: observed, modelled or assumed',
    conn LowCardinality(String) COMMENT 'run of the producer, or recorder, that brought it',
    cause_topic LowCardinality(String) COMMENT 'raw topic that it was read from',
    cause_partition UInt32 COMMENT 'partition of the raw record',
    cause_offset UInt64 COMMENT 'offset of the raw record',
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per station, climate day and product: preliminary, final and corrected ones'
AS SELECT station, day, product, issued_at, revision, report, correction, through_at, high_f, low_f, high_time,
    low_time, high_normal_f, low_normal_f, high_record_f, low_record_f, precip_in, snow_in, snow_depth_in, missing,
    trace, name, extra, event_at, received_at, known_at, known_by, conn, cause_topic, cause_partition,
    cause_offset, cause_index
FROM tapefold.climate FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.climate_years
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
    cause_index UInt32 COMMENT 'place within the raw record'
)
COMMENT 'One row per answer: which days of a year were there'
AS SELECT station, year, days, from_day, to_day, missing_days, status, reason, event_at, received_at, known_at,
    known_by, conn, cause_topic, cause_partition, cause_offset, cause_index
FROM tapefold.climate_years FINAL;
