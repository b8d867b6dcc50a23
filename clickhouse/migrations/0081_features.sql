-- Price features per minute of TWS, and what they and the weather features are joined with: everything is a function of
-- the rows that stand there when it is asked, so a correction needs no second computation anywhere.

CREATE TABLE IF NOT EXISTS tapefold.symbol_stations
(
    symbol LowCardinality(String) COMMENT 'name under which the user knows the contract',
    station LowCardinality(String) COMMENT 'station whose weather it is about; empty: no longer any',
    measure LowCardinality(String) COMMENT 'high or low: which value of the day',
    days_ahead Int32 COMMENT 'days from the climate day of the minute to the day that it is about',
    version UInt64 COMMENT 'when it was set, nanoseconds since the epoch; the latest one holds'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY symbol
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Which symbols of TWS are about the weather of which station, as SYMBOL_STATIONS says';

-- Parameters from_at, to_at: of the valid times. Whoever asks by ASOF join gets what was known at a moment: the newest
-- known run that speaks of the day, and the one before it. Things that became known together are one step.
CREATE VIEW IF NOT EXISTS tapefold_api.forecast_steps
AS SELECT station, model, day, measure, known_ns, valid_ns,
    arrayReverseSort(groupArray(tuple(run_ns, place, value)) OVER (
        PARTITION BY station, model, day, measure ORDER BY known_ns RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )) AS known_runs,
    known_runs[1] AS newest, arrayFirst(run -> run.1 < newest.1, known_runs) AS before, before.1 > 0 AS has_before
FROM (
    SELECT station, model, toUnixTimestamp64Nano(run_at) AS run_ns, toUnixTimestamp64Nano(event_at) AS valid_ns, revision,
        if(intDiv(valid_ns, 1000000000) % 86400 = 0, 'high', 'low') AS measure,
        toDate32(toInt32(intDiv(intDiv(valid_ns, 1000000000) + any(standard_offset_s), 86400))) AS day,
        min(tuple(
            greatest(toUnixTimestamp64Nano(known_at), toUnixTimestamp64Nano(run_at)), toString(cause_topic),
            cause_partition, cause_offset, cause_index
        )) AS place,
        place.1 AS known_ns, assumeNotNull(any(coalesce(n_x_f, txn_f))) AS value
    FROM tapefold.forecasts FINAL
    INNER JOIN (SELECT station, standard_offset_s FROM tapefold.weather_stations FINAL) AS stations USING (station)
    WHERE event_at BETWEEN {from_at:DateTime64(9, 'UTC')} AND {to_at:DateTime64(9, 'UTC')}
        AND toUnixTimestamp64Nano(event_at) % 43200000000000 = 0 AND event_at > run_at AND coalesce(n_x_f, txn_f) IS NOT NULL
    GROUP BY station, model, run_at, event_at, revision
)
COMMENT 'Parameters from_at, to_at: at each moment at which a forecast became known, the newest known run and the one before';

-- What was reported of a climate day, after each report that became known; the order of reports is that of their issue.
CREATE VIEW IF NOT EXISTS tapefold_api.report_steps
AS SELECT station, day, known_ns, argMax(tuple(high_f, low_f, report), place) OVER (
        PARTITION BY station, day ORDER BY known_ns RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS told
FROM (
    SELECT station, day, toUnixTimestamp64Nano(known_at) AS known_ns, high_f, low_f, ifNull(report, '') AS report,
        tuple(issued_at, product, known_at, toString(cause_topic), cause_partition, cause_offset, cause_index) AS place
    FROM tapefold.climate FINAL
    WHERE day BETWEEN toDate32({from_at:DateTime64(9, 'UTC')}) AND toDate32({to_at:DateTime64(9, 'UTC')})
)
COMMENT 'Parameters from_at, to_at: at each moment at which a climate report became known, what the latest issue says';

-- Normals change little from day to day, so those of an earlier day are asked for: the latest day up to the one in
-- question of which a report was known. Each report is a step for the ten days from its own on.
CREATE VIEW IF NOT EXISTS tapefold_api.normal_steps
AS SELECT station, for_day, known_ns, argMax(tuple(high_f, low_f, day), tuple(day, known_ns)) OVER (
        PARTITION BY station, for_day ORDER BY known_ns RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS told
FROM (
    SELECT station, day, toUnixTimestamp64Nano(known_at) AS known_ns, high_normal_f AS high_f, low_normal_f AS low_f,
        day + arrayJoin(range(11)) AS for_day
    FROM tapefold.climate FINAL
    WHERE high_normal_f IS NOT NULL AND low_normal_f IS NOT NULL
        AND day BETWEEN toDate32({from_at:DateTime64(9, 'UTC')}) - 10 AND toDate32({to_at:DateTime64(9, 'UTC')})
)
COMMENT 'Parameters from_at, to_at: normals by the day they are asked for: of the latest known report of up to ten days before';

-- Parameters: of, `fold` for the minutes that the fold wrote, `facts` for those that held at t by the tellings alone;
-- start, end_at: minutes [start, end_at).
CREATE VIEW IF NOT EXISTS tapefold_api.features_price_1m_of
COMMENT 'Parameters of, t, start, end_at: price features of the minutes from start to end_at; features_price_1m_v1 reads it'
AS WITH bars AS (
    SELECT symbol, con_id, what_to_show, use_rth,
        concat(ifNull(toString(con_id), '-'), '/', what_to_show, '/', ifNull(toString(use_rth), '-')) AS kind,
        toInt64(intDiv(toUnixTimestamp64Nano(minute), 60000000000)) AS number, close, volume,
        toFloat64(high) AS high_f, toFloat64(low) AS low_f, toFloat64(close) AS close_f, toFloat64(volume) AS volume_f,
        toUnixTimestamp64Nano(known_at) AS bar_known_ns,
        indexOf(['observed', 'modelled', 'assumed'], known_by) AS bar_known_rank, row_id AS bar_id
    FROM (
        SELECT symbol, con_id, what_to_show, use_rth, minute, high, low, close, volume, known_at, known_by, row_id
        FROM tapefold.curated_tws_1m_bars FINAL
        WHERE {of:String} = 'fold'
        UNION ALL
        SELECT symbol, con_id, what_to_show, use_rth, minute, high, low, close, volume, known_at, known_by, row_id
        FROM tapefold_api.curated_tws_1m_bars_known(t = {t:DateTime64(9, 'UTC')})
        WHERE {of:String} = 'facts'
    )
    -- a week, so that the open of every session is among them, and an hour, so that it is known for one
    WHERE minute >= {start:DateTime64(9, 'UTC')} - INTERVAL 10140 MINUTE AND minute < {end_at:DateTime64(9, 'UTC')}
),
-- a session begins after an hour without a bar, and anew on Saturdays (UTC), when only what never closes is open
linked AS (
    SELECT *,
        lagInFrame(toNullable(number)) OVER (PARTITION BY symbol, kind ORDER BY number ROWS 1 PRECEDING) AS previous,
        previous IS NULL OR number - previous > 60
            OR intDiv(number - 2880, 10080) != intDiv(previous - 2880, 10080) AS opens,
        sum(close_f) OVER (PARTITION BY symbol, kind ORDER BY number RANGE BETWEEN 1 PRECEDING AND 1 PRECEDING) AS close_1,
        sum(close_f) OVER (PARTITION BY symbol, kind ORDER BY number RANGE BETWEEN 5 PRECEDING AND 5 PRECEDING) AS close_5,
        sum(close_f) OVER (PARTITION BY symbol, kind ORDER BY number RANGE BETWEEN 15 PRECEDING AND 15 PRECEDING) AS close_15,
        if(close_f > 0 AND close_1 > 0, toNullable(pow(log(close_f / close_1), 2)), NULL) AS square
    FROM bars
),
measured AS (
    SELECT *,
        sum(square) OVER (PARTITION BY symbol, kind ORDER BY number RANGE 14 PRECEDING) AS squares,
        count(square) OVER (PARTITION BY symbol, kind ORDER BY number RANGE 14 PRECEDING) AS squared,
        max(high_f) OVER (PARTITION BY symbol, kind ORDER BY number RANGE 14 PRECEDING) AS high_15,
        min(low_f) OVER (PARTITION BY symbol, kind ORDER BY number RANGE 14 PRECEDING) AS low_15,
        avg(volume_f) OVER (PARTITION BY symbol, kind ORDER BY number RANGE BETWEEN 60 PRECEDING AND 1 PRECEDING) AS volume_mean,
        stddevSampStable(volume_f) OVER (PARTITION BY symbol, kind ORDER BY number RANGE BETWEEN 60 PRECEDING AND 1 PRECEDING)
            AS volume_spread,
        count(volume_f) OVER (PARTITION BY symbol, kind ORDER BY number RANGE BETWEEN 60 PRECEDING AND 1 PRECEDING) AS volumes,
        max(bar_known_ns) OVER (PARTITION BY symbol, kind ORDER BY number RANGE 60 PRECEDING) AS window_known_ns,
        max(bar_known_rank) OVER (PARTITION BY symbol, kind ORDER BY number RANGE 60 PRECEDING) AS window_known_rank,
        max(if(opens, number, 0)) OVER (PARTITION BY symbol, kind ORDER BY number ROWS UNBOUNDED PRECEDING) AS opened
    FROM linked
),
-- what a row says leans on its windows and on every bar since the open: the last of them that was known dates the row
dated AS (
    SELECT *, (number + 1) * 60000000000 AS end_ns,
        count() OVER (PARTITION BY symbol, kind, opened ORDER BY number RANGE 14 PRECEDING) AS present_15,
        greatest(
            window_known_ns, max(bar_known_ns) OVER (PARTITION BY symbol, kind, opened ORDER BY number ROWS UNBOUNDED PRECEDING)
        ) AS bars_known_ns,
        greatest(
            window_known_rank, max(bar_known_rank) OVER (PARTITION BY symbol, kind, opened ORDER BY number ROWS UNBOUNDED PRECEDING)
        ) AS bars_known_rank
    FROM measured
),
placed AS (
    SELECT wanted.*, places.station AS station, places.measure AS measure,
        toDate32(toInt32(
            intDiv(intDiv(end_ns - 1, 1000000000) + places.standard_offset_s, 86400) + places.days_ahead
        )) AS day
    FROM (
        SELECT * FROM dated WHERE number >= intDiv(toUnixTimestamp64Nano({start:DateTime64(9, 'UTC')}), 60000000000)
    ) AS wanted
    LEFT JOIN (
        SELECT symbol, station, measure, days_ahead, standard_offset_s
        FROM (SELECT * FROM tapefold.symbol_stations FINAL) AS symbols
        INNER JOIN (SELECT station, standard_offset_s FROM tapefold.weather_stations FINAL) AS stations USING (station)
    ) AS places ON places.symbol = wanted.symbol
),
forecasts AS (
    SELECT symbol AS of_symbol, kind AS of_kind, number AS of_number, toUInt8(count()) AS models, avg(steps.newest.3) AS mean_f,
        max(steps.newest.3) - min(steps.newest.3) AS spread_f,
        if(max(steps.has_before), avgIf(steps.newest.3 - steps.before.3, steps.has_before), NULL) AS change_f,
        max(steps.newest.1) AS newest_run_ns, max(steps.newest.2.1) AS forecast_known_ns
    FROM (
        SELECT symbol, kind, number, end_ns, station, measure, day, arrayJoin(['GFS', 'MEX', 'NAM', 'NBS', 'NBE']) AS model
        FROM placed WHERE station != ''
    ) AS asked
    ASOF INNER JOIN (
        SELECT * FROM tapefold_api.forecast_steps(
            from_at = {start:DateTime64(9, 'UTC')} - INTERVAL 2 DAY, to_at = {end_at:DateTime64(9, 'UTC')} + INTERVAL 12 DAY
        ) WHERE station IN (SELECT station FROM tapefold.symbol_stations FINAL)
    ) AS steps ON steps.station = asked.station AND steps.model = asked.model AND steps.day = asked.day
        AND steps.measure = asked.measure AND steps.known_ns <= asked.end_ns
    GROUP BY symbol, kind, number
)
SELECT placed.symbol AS symbol, placed.con_id AS con_id, placed.what_to_show AS what_to_show, placed.use_rth AS use_rth,
    fromUnixTimestamp64Nano(placed.number * 60000000000, 'UTC') AS minute, placed.close AS close,
    if(close_1 > 0, toNullable(close_f / close_1 - 1), NULL) AS return_1m,
    if(close_5 > 0, toNullable(close_f / close_5 - 1), NULL) AS return_5m,
    if(close_15 > 0, toNullable(close_f / close_15 - 1), NULL) AS return_15m,
    if(squared >= 10, toNullable(sqrt(ifNull(squares, 0))), NULL) AS realised_vol_15m,
    if(close_f > 0, toNullable((high_f - low_f) / close_f), NULL) AS range_1m,
    if(close_f > 0, toNullable((high_15 - low_15) / close_f), NULL) AS range_15m,
    placed.volume AS volume,
    if(volumes >= 20 AND volume_spread > 0, (volume_f - volume_mean) / volume_spread, NULL) AS volume_z_60m,
    NOT opens AND number - assumeNotNull(previous) > 1 AS gap_1m,
    toUInt32(if(gap_1m, number - assumeNotNull(previous) - 1, 0)) AS gap_minutes,
    toUInt8(least(15, number - opened + 1) - present_15) AS missing_15m,
    toUInt32(number - opened) AS minutes_since_open,
    nullIf(placed.station, '') AS station, nullIf(placed.measure, '') AS measure,
    if(placed.station = '', NULL, toNullable(placed.day)) AS target_date_local,
    forecasts.models AS models,
    if(models > 0, toNullable(mean_f), NULL) AS forecast_mean_f,
    if(models > 0, toNullable(toFloat64(spread_f)), NULL) AS forecast_spread_f,
    if(models > 0, change_f, NULL) AS run_change_f,
    if(models > 0, toNullable(fromUnixTimestamp64Nano(newest_run_ns, 'UTC')), NULL) AS newest_run_at,
    if(models > 0, toNullable(fromUnixTimestamp64Nano(forecast_known_ns, 'UTC')), NULL) AS forecast_known_at,
    if(reports.known_ns > 0, if(placed.measure = 'high', reports.told.1, reports.told.2), NULL) AS reported_f,
    if(reports.known_ns > 0, nullIf(reports.told.3, ''), NULL) AS report,
    if(normals.known_ns > 0, if(placed.measure = 'high', normals.told.1, normals.told.2), NULL) AS normal_f,
    if(normals.known_ns > 0, toNullable(normals.told.3), NULL) AS normal_date_local,
    fromUnixTimestamp64Nano(bars_known_ns, 'UTC') AS known_at,
    ['observed', 'modelled', 'assumed'][bars_known_rank] AS known_by,
    concat('price:', bar_id) AS row_id, toUInt32(1) AS feature_version
FROM placed
LEFT JOIN forecasts ON of_symbol = placed.symbol AND of_kind = placed.kind AND of_number = placed.number
ASOF LEFT JOIN (
    SELECT * FROM tapefold_api.report_steps(
        from_at = {start:DateTime64(9, 'UTC')} - INTERVAL 2 DAY, to_at = {end_at:DateTime64(9, 'UTC')} + INTERVAL 12 DAY
    )
) AS reports ON reports.station = placed.station AND reports.day = placed.day AND reports.known_ns <= placed.end_ns
ASOF LEFT JOIN (
    SELECT * FROM tapefold_api.normal_steps(
        from_at = {start:DateTime64(9, 'UTC')} - INTERVAL 2 DAY, to_at = {end_at:DateTime64(9, 'UTC')} + INTERVAL 12 DAY
    )
) AS normals ON normals.station = placed.station AND normals.for_day = placed.day AND normals.known_ns <= placed.end_ns;
