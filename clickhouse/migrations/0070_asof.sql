-- As-of forecasts: the policies, what they saw by the fold, and the same computed from the facts by SQL alone.

CREATE TABLE IF NOT EXISTS tapefold.asof_policies
(
    policy_id LowCardinality(String) COMMENT 'name of the policy',
    version UInt32 COMMENT 'version; a version never changes',
    at String COMMENT 'as-of time of target day D, as written',
    day_offset Int32 COMMENT 'days from D to the day of the as-of time',
    minute_of_day UInt32 COMMENT 'minutes from the midnight of that day to the as-of time',
    standard_time Bool COMMENT 'that midnight is of the standard time of the station; else of UTC',
    calendar LowCardinality(String) COMMENT 'what a day is',
    models Array(String) COMMENT 'models that are asked for each day',
    max_staleness_s Int64 COMMENT 'longest time from the nominal time of a run to the as-of time',
    needs LowCardinality(String) COMMENT 'value without which a run is no answer: tmax or tmin',
    knowledge LowCardinality(String) COMMENT 'what counts as known: stated, observed, modelled, fixed_lag or run_time',
    lags_s Map(String, Int64) COMMENT 'by model: not known before the run and this many seconds',
    quantile Nullable(Float64) COMMENT 'of measured lags, with knowledge modelled',
    unsafe Bool COMMENT 'the policy does not ask when a run was known',
    description String COMMENT 'what it is for',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record',
    _rank UInt64 MATERIALIZED bitNot(_offset) COMMENT 'the larger, the earlier it was told'
)
ENGINE = ReplacingMergeTree(_rank)
ORDER BY (policy_id, version)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'As-of policies, every version; the first telling of a version stands';

-- The stations of the weather series: written by every `tapefold migrate` from the registry of the code.
CREATE TABLE IF NOT EXISTS tapefold.weather_stations
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    standard_offset_s Int64 COMMENT 'seconds that its standard time is ahead of UTC',
    series_tickers Array(String) COMMENT 'weather series that settle on it',
    registry_version UInt32 COMMENT 'version of the registry that says so'
)
ENGINE = ReplacingMergeTree(registry_version)
ORDER BY station
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Stations of the weather series, and their standard time';

CREATE TABLE IF NOT EXISTS tapefold.mos_asof
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    target_date_local Date32 COMMENT 'climate day that is asked for: midnight to midnight local standard time',
    model LowCardinality(String) COMMENT 'model that is asked: GFS, MEX, NAM, NBS or NBE',
    policy_id LowCardinality(String) COMMENT 'policy that asks',
    policy_version UInt32 COMMENT 'version of the policy',
    series_tickers Array(String) COMMENT 'weather series that settle on the station',
    asof_utc DateTime64(9, 'UTC') COMMENT 'as-of time of the policy' CODEC(Delta, ZSTD(1)),
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
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(rev)
PARTITION BY toYYYYMM(target_date_local)
ORDER BY (station, target_date_local, model, policy_id, policy_version)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'As-of forecasts by the fold, the revisions not yet merged away';

CREATE TABLE IF NOT EXISTS tapefold.mos_asof_journal
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    target_date_local Date32 COMMENT 'climate day that is asked for: midnight to midnight local standard time',
    model LowCardinality(String) COMMENT 'model that is asked: GFS, MEX, NAM, NBS or NBE',
    policy_id LowCardinality(String) COMMENT 'policy that asks',
    policy_version UInt32 COMMENT 'version of the policy',
    series_tickers Array(String) COMMENT 'weather series that settle on the station',
    asof_utc DateTime64(9, 'UTC') COMMENT 'as-of time of the policy' CODEC(Delta, ZSTD(1)),
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
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(target_date_local)
ORDER BY (station, target_date_local, model, policy_id, policy_version, rev)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Every published revision of every as-of forecast; which ones were published depends on batch cuts';

CREATE VIEW IF NOT EXISTS tapefold_api.asof_policies
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
    description String COMMENT 'what it is for'
)
COMMENT 'As-of policies, every version'
AS SELECT policy_id, version, at, calendar, models, max_staleness_s, needs, knowledge, lags_s, quantile, unsafe,
    description
FROM tapefold.asof_policies FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.mos_asof
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    series_ticker Nullable(String) COMMENT 'weather series that settles on the station; one row for each of them',
    target_date_local Date32 COMMENT 'climate day that is asked for: midnight to midnight local standard time',
    model LowCardinality(String) COMMENT 'model that is asked: GFS, MEX, NAM, NBS or NBE',
    asof_policy_id LowCardinality(String) COMMENT 'policy that asks, in its latest version',
    asof_utc DateTime64(9, 'UTC') COMMENT 'as-of time of the policy',
    chosen_run_utc Nullable(DateTime64(9, 'UTC')) COMMENT 'nominal time of the chosen run; NULL: none, see missing_reason',
    known_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when the values were known, by the rule of the policy; NULL: no run was chosen',
    known_by LowCardinality(Nullable(String)) COMMENT 'how we know that: observed, modelled or assumed; NULL: no run was chosen',
    tmax_f Nullable(Int64) COMMENT 'maximum of the day by the chosen run, degrees Fahrenheit',
    tmin_f Nullable(Int64) COMMENT 'minimum of the day by the chosen run, degrees Fahrenheit; NULL: it does not tell',
    lead_hours Nullable(Int64) COMMENT 'hours from the run to the valid time of the value that the policy needs',
    missing_reason LowCardinality(Nullable(String)) COMMENT 'why no run was chosen: pending, no_run, not_observed, known_too_late, too_stale or no_value; NULL: one was',
    rev UInt64 COMMENT 'rank of chosen run and revisions, or of the reason; grows with the set of facts',
    inputs Array(Tuple(topic String, partition UInt32, offset UInt64, place UInt32)) COMMENT 'where the values stand on the raw log',
    unsafe Bool COMMENT 'the policy does not ask when a run was known',
    row_id String COMMENT 'identity of the row; the same for all its revisions'
)
COMMENT 'What the latest version of each policy saw of each model at its as-of time'
AS SELECT station, arrayJoin(if(empty(series_tickers), [CAST(NULL, 'Nullable(String)')], arrayMap(s -> toNullable(s), series_tickers))) AS series_ticker,
    target_date_local, model, policy_id AS asof_policy_id, asof_utc, chosen_run_utc, known_at, known_by, tmax_f, tmin_f,
    lead_hours, missing_reason, rev, inputs, unsafe, row_id
FROM (SELECT * FROM tapefold.mos_asof FINAL)
WHERE (policy_id, policy_version) IN (SELECT policy_id, max(version) FROM tapefold.asof_policies GROUP BY policy_id);

CREATE VIEW IF NOT EXISTS tapefold_api.mos_asof_journal
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
    row_id String COMMENT 'identity of the row; the same for all its revisions'
)
COMMENT 'Every published revision of every as-of forecast, of all versions of the policies'
AS SELECT station, target_date_local, model, policy_id, policy_version, series_tickers,
    asof_utc, chosen_run_utc, known_at, known_by, tmax_f, tmin_f, lead_hours,
    missing_reason, unsafe, inputs, rev, row_id
FROM tapefold.mos_asof_journal FINAL;

-- t: facts known later are not seen. clock: `tape`, each station's tape has come as far as it has; `given`, it has come to t.
CREATE VIEW IF NOT EXISTS tapefold_api.mos_asof_computed
COMMENT 'Parameters t, clock: what each policy answers from the facts known by t; mos_asof_from_facts and mos_asof_known read it'
AS WITH stations AS (
    SELECT station, standard_offset_s, series_tickers FROM tapefold.weather_stations FINAL
),
-- one row per content of a maximum or minimum: its earliest telling
told AS (
    SELECT station, model, run_ns, valid_ns, revision,
        intDiv(valid_ns, 1000000000) % 86400 = 0 AS is_max,
        intDiv(intDiv(valid_ns, 1000000000) + any(standard_offset_s), 86400) AS day,
        min(tuple(known_ns, cause_topic, cause_partition, cause_offset, cause_index)) AS place,
        argMin(known_rank, tuple(known_ns, cause_topic, cause_partition, cause_offset, cause_index)) AS how,
        any(value_f) AS value
    FROM (
        SELECT station, model, toUnixTimestamp64Nano(run_at) AS run_ns, toUnixTimestamp64Nano(event_at) AS valid_ns,
            revision, standard_offset_s, greatest(toUnixTimestamp64Nano(known_at), run_ns) AS known_ns,
            toString(cause_topic) AS cause_topic, cause_partition, cause_offset, cause_index,
            indexOf(['observed', 'modelled', 'assumed'], known_by) - 1 AS known_rank, coalesce(n_x_f, txn_f) AS value_f
        FROM tapefold.forecasts FINAL
        INNER JOIN stations USING (station)
        WHERE known_at <= {t:DateTime64(9, 'UTC')}
            AND valid_ns % 43200000000000 = 0 AND valid_ns > run_ns
    )
    GROUP BY station, model, run_ns, valid_ns, revision
),
-- days from the first to the last that a run spoke of, silences of more than 31 days left out
spans AS (
    SELECT station, arrayJoin(arrayFlatten(arrayMap(
        (d, n) -> if(n > d AND n - d <= 31, range(toUInt32(d), toUInt32(n)), [toUInt32(d)]),
        days, arrayPushBack(arraySlice(days, 2), days[-1])
    ))) AS day
    FROM (SELECT station, arraySort(groupUniqArray(day)) AS days FROM told GROUP BY station)
),
tape AS (
    SELECT station, max(reached_ns) AS reached_ns
    FROM (
        SELECT station, toUnixTimestamp64Nano(max(received_at)) AS reached_ns
        FROM tapefold.forecast_runs WHERE known_at <= {t:DateTime64(9, 'UTC')} GROUP BY station
        UNION ALL
        SELECT stations.station AS station, watermark_ns AS reached_ns
        FROM stations
        CROSS JOIN (
            SELECT min(lane_ns) AS watermark_ns, count() AS lanes
            FROM (
                SELECT raw_partition,
                    if(countIf(NOT bye) = 0, max(clock_ns), minIf(clock_ns, NOT bye AND clock_ns + lease_ns >= newest_ns))
                        AS lane_ns
                FROM (
                    SELECT raw_partition, toUnixTimestamp64Nano(clock_at) AS clock_ns, lease_ns, bye,
                        maxIf(clock_ns, NOT bye) OVER (PARTITION BY raw_partition) AS newest_ns
                    FROM tapefold.beats FINAL WHERE _topic = 'fact.forecast'
                )
                GROUP BY raw_partition
            )
        ) AS beats
        WHERE lanes > 0 AND lanes = (SELECT uniqExact(raw_partition) FROM tapefold.beats)
    )
    GROUP BY station
),
asked AS (
    SELECT spans.station AS station, spans.day AS day, policy_id, version, arrayJoin(models) AS model, knowledge, needs,
        unsafe, max_staleness_s, lags_s[model] * 1000000000 AS lag_ns, standard_offset_s, series_tickers,
        ((day + day_offset) * 1440 + minute_of_day) * 60000000000
            - if(standard_time, standard_offset_s, 0) * 1000000000 AS asof_ns,
        if({clock:String} = 'given', toUnixTimestamp64Nano({t:DateTime64(9, 'UTC')}), tape.reached_ns) AS reached_ns
    FROM spans
    INNER JOIN stations USING (station)
    LEFT JOIN tape USING (station)
    CROSS JOIN (SELECT * FROM tapefold.asof_policies FINAL) AS policies
),
-- what each policy knew of each content
seen AS (
    SELECT asked.*, told.run_ns AS run_ns, told.valid_ns AS valid_ns, told.is_max AS is_max, told.place AS place,
        told.value AS value, told.revision != '' AS is_told,
        knowledge IN ('modelled', 'fixed_lag') AS is_lagged,
        is_told AND multiIf(
            knowledge = 'run_time', 1,
            knowledge = 'observed', told.how = 0 AND place.1 <= asof_ns,
            is_lagged, run_ns + lag_ns <= asof_ns AND place.1 <= asof_ns,
            place.1 <= asof_ns
        ) AS is_known,
        is_lagged AND place.1 < run_ns + lag_ns AS is_delayed,
        if(is_delayed, run_ns + lag_ns, place.1) AS known_ns,
        if(is_delayed, greatest(told.how, if(knowledge = 'modelled', 1, 2)), told.how) AS known_rank,
        told.how = 0 AS is_observed,
        is_known AND value IS NOT NULL AS is_held,
        is_max = (needs = 'tmax') AS is_needed
    FROM asked
    LEFT JOIN told ON told.station = asked.station AND told.model = asked.model AND told.day = asked.day
),
-- one row per run: its rank, and what it holds. 2 not_observed, 3 known_too_late, 4 too_stale, 5 no_value, 6 chosen
runs AS (
    SELECT station, day, policy_id, version, model, run_ns, asof_ns, reached_ns, unsafe, series_tickers,
        multiIf(
            max(is_told) = 0, 1,
            run_ns > asof_ns OR max(is_known) = 0, if(knowledge = 'observed' AND max(is_observed) = 0, 2, 3),
            run_ns < asof_ns - max_staleness_s * 1000000000, 4,
            max(is_held AND is_needed) = 0, 5,
            6
        ) AS rank,
        maxIf(tuple(place, known_ns, known_rank, value, valid_ns), is_held AND is_max) AS held_max,
        maxIf(tuple(place, known_ns, known_rank, value, valid_ns), is_held AND NOT is_max) AS held_min,
        max(is_held AND is_max) AS has_max, max(is_held AND NOT is_max) AS has_min,
        maxIf(valid_ns, is_held AND is_needed) AS needed_ns,
        sumIf(greatest(0, intDiv(if(unsafe, run_ns + 864000000000000, asof_ns) - place.1, 1000000)) + 1, is_known) AS weight
    FROM seen
    GROUP BY station, day, policy_id, version, model, run_ns, asof_ns, reached_ns, unsafe, series_tickers, knowledge,
        max_staleness_s
),
best AS (
    SELECT station, day, policy_id, version, model, asof_ns, reached_ns, unsafe, series_tickers,
        max(runs.rank) AS best_rank,
        argMax(tuple(run_ns, held_max, held_min, has_max, has_min, needed_ns, weight), tuple(runs.rank, run_ns)) AS run,
        best_rank = 6 AS is_chosen
    FROM runs
    GROUP BY station, day, policy_id, version, model, asof_ns, reached_ns, unsafe, series_tickers
)
SELECT concat('asof:', station, ':', toString(target_date_local), ':', model, ':', policy_id, '@', toString(version))
        AS row_id,
    station, toDate32(toInt32(day)) AS target_date_local, model, policy_id, version AS policy_version, series_tickers,
    fromUnixTimestamp64Nano(toInt64(asof_ns), 'UTC') AS asof_utc,
    if(is_chosen, fromUnixTimestamp64Nano(toInt64(run.1), 'UTC'), NULL) AS chosen_run_utc,
    arrayFilter(held -> held.2, [(run.2, run.4), (run.3, run.5)]) AS held,
    if(is_chosen, fromUnixTimestamp64Nano(toInt64(arrayMax(held -> held.1.2, held)), 'UTC'), NULL) AS known_at,
    if(is_chosen, ['observed', 'modelled', 'assumed'][arrayMax(held -> held.1.3, held) + 1], NULL) AS known_by,
    if(is_chosen AND run.4, run.2.4, NULL) AS tmax_f,
    if(is_chosen AND run.5, run.3.4, NULL) AS tmin_f,
    if(is_chosen, intDiv(run.6 - run.1, 3600000000000), NULL) AS lead_hours,
    if(reached_ns >= asof_ns, best_rank, 0) AS told_rank,
    if(is_chosen, NULL, ['pending', 'no_run', 'not_observed', 'known_too_late', 'too_stale', 'no_value'][told_rank + 1])
        AS missing_reason,
    unsafe,
    CAST(if(is_chosen, arrayMap(
        held -> (held.1.1.2, held.1.1.3, held.1.1.4, held.1.1.5), arraySort(held -> held.1.1, held)
    ), []), 'Array(Tuple(topic String, partition UInt32, offset UInt64, place UInt32))') AS inputs,
    toUInt64(if(is_chosen, bitShiftLeft(toUInt64(8 + intDiv(run.1, 3600000000000)), 36) + least(run.7, 68719476735),
        bitShiftLeft(toUInt64(told_rank), 36))) AS rev
FROM best;

CREATE VIEW IF NOT EXISTS tapefold_api.mos_asof_from_facts
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    series_ticker Nullable(String) COMMENT 'weather series that settles on the station; one row for each of them',
    target_date_local Date32 COMMENT 'climate day that is asked for: midnight to midnight local standard time',
    model LowCardinality(String) COMMENT 'model that is asked: GFS, MEX, NAM, NBS or NBE',
    asof_policy_id LowCardinality(String) COMMENT 'policy that asks, in its latest version',
    asof_utc DateTime64(9, 'UTC') COMMENT 'as-of time of the policy',
    chosen_run_utc Nullable(DateTime64(9, 'UTC')) COMMENT 'nominal time of the chosen run; NULL: none, see missing_reason',
    known_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when the values were known, by the rule of the policy; NULL: no run was chosen',
    known_by LowCardinality(Nullable(String)) COMMENT 'how we know that: observed, modelled or assumed; NULL: no run was chosen',
    tmax_f Nullable(Int64) COMMENT 'maximum of the day by the chosen run, degrees Fahrenheit',
    tmin_f Nullable(Int64) COMMENT 'minimum of the day by the chosen run, degrees Fahrenheit; NULL: it does not tell',
    lead_hours Nullable(Int64) COMMENT 'hours from the run to the valid time of the value that the policy needs',
    missing_reason LowCardinality(Nullable(String)) COMMENT 'why no run was chosen: pending, no_run, not_observed, known_too_late, too_stale or no_value; NULL: one was',
    rev UInt64 COMMENT 'rank of chosen run and revisions, or of the reason; grows with the set of facts',
    inputs Array(Tuple(topic String, partition UInt32, offset UInt64, place UInt32)) COMMENT 'where the values stand on the raw log',
    unsafe Bool COMMENT 'the policy does not ask when a run was known',
    row_id String COMMENT 'identity of the row; the same for all its revisions'
)
COMMENT 'The same as mos_asof, computed from the facts by SQL alone'
AS SELECT station, arrayJoin(if(empty(series_tickers), [CAST(NULL, 'Nullable(String)')], arrayMap(s -> toNullable(s), series_tickers))) AS series_ticker,
    target_date_local, model, policy_id AS asof_policy_id, asof_utc, chosen_run_utc, known_at, known_by, tmax_f, tmin_f,
    lead_hours, missing_reason, rev, inputs, unsafe, row_id
FROM tapefold_api.mos_asof_computed(t = '2262-01-01 00:00:00.000000000', clock = 'tape')
WHERE (policy_id, policy_version) IN (SELECT policy_id, max(version) FROM tapefold.asof_policies GROUP BY policy_id);

CREATE VIEW IF NOT EXISTS tapefold_api.mos_asof_known
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    series_ticker Nullable(String) COMMENT 'weather series that settles on the station; one row for each of them',
    target_date_local Date32 COMMENT 'climate day that is asked for: midnight to midnight local standard time',
    model LowCardinality(String) COMMENT 'model that is asked: GFS, MEX, NAM, NBS or NBE',
    asof_policy_id LowCardinality(String) COMMENT 'policy that asks, in its latest version',
    asof_utc DateTime64(9, 'UTC') COMMENT 'as-of time of the policy',
    chosen_run_utc Nullable(DateTime64(9, 'UTC')) COMMENT 'nominal time of the chosen run; NULL: none, see missing_reason',
    known_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when the values were known, by the rule of the policy; NULL: no run was chosen',
    known_by LowCardinality(Nullable(String)) COMMENT 'how we know that: observed, modelled or assumed; NULL: no run was chosen',
    tmax_f Nullable(Int64) COMMENT 'maximum of the day by the chosen run, degrees Fahrenheit',
    tmin_f Nullable(Int64) COMMENT 'minimum of the day by the chosen run, degrees Fahrenheit; NULL: it does not tell',
    lead_hours Nullable(Int64) COMMENT 'hours from the run to the valid time of the value that the policy needs',
    missing_reason LowCardinality(Nullable(String)) COMMENT 'why no run was chosen: pending, no_run, not_observed, known_too_late, too_stale or no_value; NULL: one was',
    rev UInt64 COMMENT 'rank of chosen run and revisions, or of the reason; grows with the set of facts',
    inputs Array(Tuple(topic String, partition UInt32, offset UInt64, place UInt32)) COMMENT 'where the values stand on the raw log',
    unsafe Bool COMMENT 'the policy does not ask when a run was known',
    row_id String COMMENT 'identity of the row; the same for all its revisions'
)
COMMENT 'mos_asof as it was known at t: from facts known by then, never from old revisions'
AS SELECT station, arrayJoin(if(empty(series_tickers), [CAST(NULL, 'Nullable(String)')], arrayMap(s -> toNullable(s), series_tickers))) AS series_ticker,
    target_date_local, model, policy_id AS asof_policy_id, asof_utc, chosen_run_utc, known_at, known_by, tmax_f, tmin_f,
    lead_hours, missing_reason, rev, inputs, unsafe, row_id
FROM tapefold_api.mos_asof_computed(t = {t:DateTime64(9, 'UTC')}, clock = 'given')
WHERE (policy_id, policy_version) IN (SELECT policy_id, max(version) FROM tapefold.asof_policies GROUP BY policy_id);

CREATE VIEW IF NOT EXISTS tapefold_api.mos_asof_completeness
(
    asof_policy_id LowCardinality(String) COMMENT 'policy that asks, in its latest version',
    model LowCardinality(String) COMMENT 'model that is asked',
    reason LowCardinality(String) COMMENT 'chosen, or why no run was',
    answers UInt64 COMMENT 'station days',
    percent Float64 COMMENT 'of all station days of the policy and model whose as-of time has come; they sum to 100'
)
COMMENT 'How complete the as-of forecasts are: share of each reason per policy and model; pending days are not counted'
AS SELECT asof_policy_id, model, ifNull(missing_reason, 'chosen') AS reason,
    uniqExact(station, target_date_local) AS answers,
    100 * answers / sum(answers) OVER (PARTITION BY asof_policy_id, model) AS percent
FROM tapefold_api.mos_asof
WHERE NOT (missing_reason = 'pending') OR missing_reason IS NULL
GROUP BY asof_policy_id, model, reason;
