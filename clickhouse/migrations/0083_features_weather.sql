-- Weather features anew, their version 2: the normal is that of the nearest day that was reported, not of whatever report
-- came last (history that is fetched in winter may be that of a summer); what became known together counts as one; minutes
-- can be asked for by time, and as they were known at a time.

-- Parameters: of, `fold` for the bars that the fold wrote, `facts` for those known at t; start, end_at: minutes [start, end_at).
CREATE VIEW IF NOT EXISTS tapefold_api.features_weather_of
COMMENT 'Parameters of, t, start, end_at: weather features of the minutes from start to end_at; features_weather reads it'
AS WITH bars AS (
    SELECT market_ticker, minute, close, closed, bar_known_at, bar_known_by, station,
        toUnixTimestamp64Nano(minute) + 60000000000 AS end_ns, splitByChar('-', market_ticker) AS words,
        makeDate32(
            2000 + toUInt16OrZero(substring(words[2], 1, 2)),
            indexOf(['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'], substring(words[2], 3, 3)),
            toUInt8OrZero(substring(words[2], 6, 2))
        ) AS day,
        if(position(words[1], 'LOW') > 0, 'low', 'high') AS measure
    FROM (
        SELECT market_ticker, minute, close, closed, known_at AS bar_known_at, toString(known_by) AS bar_known_by
        FROM tapefold.bars_1m FINAL
        WHERE {of:String} = 'fold' AND minute >= {start:DateTime64(9, 'UTC')} AND minute < {end_at:DateTime64(9, 'UTC')}
        UNION ALL
        SELECT market_ticker, minute, close, closed, known_at AS bar_known_at, known_by AS bar_known_by
        FROM tapefold_api.bars_1m_known(t = {t:DateTime64(9, 'UTC')})
        WHERE {of:String} = 'facts' AND minute >= {start:DateTime64(9, 'UTC')} AND minute < {end_at:DateTime64(9, 'UTC')}
    ) AS recorded
    INNER JOIN (
        SELECT station, arrayJoin(series_tickers) AS series_ticker FROM tapefold.weather_stations FINAL
    ) AS stations ON stations.series_ticker = splitByChar('-', recorded.market_ticker)[1]
),
-- every minute asks every model for the newest of its runs that was known at the minute's end
answered AS (
    SELECT market_ticker, minute, close, closed, bar_known_at, bar_known_by, asked.station AS of_station, end_ns,
        asked.day AS of_day, asked.measure AS of_measure, toUInt8(countIf(steps.known_ns > 0)) AS models,
        avgIf(steps.newest.3, steps.known_ns > 0) AS mean_f,
        maxIf(steps.newest.3, steps.known_ns > 0) - minIf(steps.newest.3, steps.known_ns > 0) AS spread_f,
        if(max(steps.has_before), avgIf(steps.newest.3 - steps.before.3, steps.has_before), NULL) AS change_f,
        max(steps.valid_ns) AS last_valid_ns, max(steps.newest.1) AS newest_run_ns, max(steps.newest.2.1) AS forecasts_known_ns
    FROM (SELECT *, arrayJoin(['GFS', 'MEX', 'NAM', 'NBS', 'NBE']) AS model FROM bars) AS asked
    ASOF LEFT JOIN (
        SELECT * FROM tapefold_api.forecast_steps(
            from_at = {start:DateTime64(9, 'UTC')} - INTERVAL 30 DAY, to_at = {end_at:DateTime64(9, 'UTC')} + INTERVAL 30 DAY
        )
    ) AS steps ON steps.station = asked.station AND steps.model = asked.model AND steps.day = asked.day
        AND steps.measure = asked.measure AND steps.known_ns <= asked.end_ns
    GROUP BY market_ticker, minute, close, closed, bar_known_at, bar_known_by, of_station, end_ns, of_day, of_measure
),
-- as in the fold: of all announcements the one known last; of those known together the later close
closes AS (
    SELECT market_ticker, known_ns, argMax(close_ns, tuple(known_ns, close_ns)) OVER (
            PARTITION BY market_ticker ORDER BY known_ns RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS close_ns
    FROM (
        SELECT market_ticker, toUnixTimestamp64Nano(known_at) AS known_ns,
            toUnixTimestamp64Nano(assumeNotNull(close_at)) AS close_ns
        FROM tapefold.market_events FINAL WHERE close_at IS NOT NULL
        UNION ALL
        SELECT market_ticker, toUnixTimestamp64Nano(known_at), toUnixTimestamp64Nano(assumeNotNull(close_at))
        FROM tapefold.market_terms FINAL WHERE close_at IS NOT NULL
    )
)
SELECT answered.market_ticker AS market_ticker, minute, of_station AS station, of_day AS target_date_local,
    of_measure AS measure, models,
    if(models > 0, mean_f, NULL) AS forecast_mean_f,
    if(models > 0, toFloat64(spread_f), NULL) AS forecast_spread_f,
    if(models > 0, change_f, NULL) AS run_change_f,
    if(models > 0, (last_valid_ns - end_ns) / 3600000000000, NULL) AS lead_hours,
    if(models > 0, fromUnixTimestamp64Nano(newest_run_ns, 'UTC'), NULL) AS newest_run_at,
    if(models > 0, fromUnixTimestamp64Nano(forecasts_known_ns, 'UTC'), NULL) AS forecast_known_at,
    if(normals.known_ns > 0, if(of_measure = 'high', normals.told.1, normals.told.2), NULL) AS normal_f,
    if(normals.known_ns > 0, toNullable(normals.told.3), NULL) AS normal_date_local,
    if(closes.known_ns > 0, (closes.close_ns - end_ns) / 3600000000000, NULL) AS hours_to_close,
    close, closed AS bar_closed, bar_known_at AS known_at, bar_known_by AS known_by,
    concat('weather:', answered.market_ticker, ':', toString(intDiv(end_ns, 60000000000) - 1)) AS row_id,
    toUInt32(2) AS feature_version
FROM answered
ASOF LEFT JOIN (
    SELECT * FROM tapefold_api.normal_steps(
        from_at = {start:DateTime64(9, 'UTC')} - INTERVAL 30 DAY, to_at = {end_at:DateTime64(9, 'UTC')} + INTERVAL 30 DAY
    )
) AS normals ON normals.station = answered.of_station AND normals.for_day = answered.of_day AND normals.known_ns <= answered.end_ns
ASOF LEFT JOIN closes ON closes.market_ticker = answered.market_ticker AND closes.known_ns <= answered.end_ns;

CREATE OR REPLACE VIEW tapefold_api.features_weather
(
    market_ticker String COMMENT 'Kalshi market of a weather series',
    minute DateTime64(9, 'UTC') COMMENT 'start of the minute, UTC; the features are those of its end',
    station LowCardinality(String) COMMENT 'station that settles the market',
    target_date_local Date32 COMMENT 'climate day that the market is about',
    measure LowCardinality(String) COMMENT 'high or low: the value of the day that the features are of',
    models UInt8 COMMENT 'models of which a run was known that speaks of the day',
    forecast_mean_f Nullable(Float64) COMMENT 'mean of the newest known run of each model, degrees Fahrenheit; NULL: none',
    forecast_spread_f Nullable(Float64) COMMENT 'largest minus smallest of them; NULL: none',
    run_change_f Nullable(Float64) COMMENT 'mean of newest run minus the run before, of models with two runs; NULL: none',
    lead_hours Nullable(Float64) COMMENT 'hours from the end of the minute to the latest valid time; below 0 when it is over',
    newest_run_at Nullable(DateTime64(9, 'UTC')) COMMENT 'nominal time of the newest run; NULL: none',
    forecast_known_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when the last of the used values was known; NULL: none',
    normal_f Nullable(Int64) COMMENT 'normal of the latest day up to the target day, and ten days before at most, whose report was known; NULL: none',
    normal_date_local Nullable(Date32) COMMENT 'that day; NULL: none',
    hours_to_close Nullable(Float64) COMMENT 'to the close that was announced by then; NULL: none announced',
    close Nullable(Decimal(18, 6)) COMMENT 'yes price of the last trade of the minute; NULL: no trade',
    bar_closed Bool COMMENT 'the bar is closed',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use the row: when the bar was known',
    known_by LowCardinality(String) COMMENT 'how that is known: observed, modelled or assumed',
    row_id String COMMENT 'identity of the row; that of its bar behind `weather:`',
    feature_version UInt32 COMMENT 'version of these definitions, see feature_registry'
)
COMMENT 'Bars of weather markets with the forecasts, normals and terms known at the end of each minute'
AS SELECT * FROM tapefold_api.features_weather_of(
    of = 'fold', t = '2262-01-01 00:00:00', start = '1980-01-01 00:00:00', end_at = '2260-01-01 00:00:00'
);

CREATE VIEW IF NOT EXISTS tapefold_api.features_weather_known
AS SELECT * FROM tapefold_api.features_weather_of(
    of = 'facts', t = {t:DateTime64(9, 'UTC')}, start = '1980-01-01 00:00:00', end_at = {t:DateTime64(9, 'UTC')}
)
COMMENT 'Parameter t: features_weather as it was known then: from facts known by then, never from old revisions';
