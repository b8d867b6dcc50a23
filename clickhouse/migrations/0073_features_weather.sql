-- Weather features per market and minute: each bar joined with what was known of its climate day at the end of its minute.

CREATE VIEW IF NOT EXISTS tapefold_api.features_weather
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
    normal_f Nullable(Int64) COMMENT 'normal of the latest climate report known by then; NULL: none known',
    hours_to_close Nullable(Float64) COMMENT 'to the close that was announced by then; NULL: none announced',
    close Nullable(Decimal(18, 6)) COMMENT 'yes price of the last trade of the minute; NULL: no trade',
    bar_closed Bool COMMENT 'the bar is closed',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use the row: when the bar was known',
    feature_version UInt32 COMMENT 'version of these definitions'
)
COMMENT 'Bars of weather markets with the forecasts, normals and terms known at the end of each minute'
AS WITH bars AS (
    SELECT bars_1m.market_ticker AS market_ticker, bars_1m.minute AS minute, bars_1m.close AS close, closed,
        bars_1m.known_at AS bar_known_at, toUnixTimestamp64Nano(minute) + 60000000000 AS end_ns,
        stations.station AS station, standard_offset_s,
        splitByChar('-', market_ticker) AS words,
        makeDate32(
            2000 + toUInt16OrZero(substring(words[2], 1, 2)),
            indexOf(['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'], substring(words[2], 3, 3)),
            toUInt8OrZero(substring(words[2], 6, 2))
        ) AS day,
        if(position(words[1], 'LOW') > 0, 'low', 'high') AS measure
    FROM (SELECT * FROM tapefold.bars_1m FINAL) AS bars_1m
    INNER JOIN (
        SELECT station, standard_offset_s, arrayJoin(series_tickers) AS series_ticker
        FROM tapefold.weather_stations FINAL
    ) AS stations ON stations.series_ticker = splitByChar('-', bars_1m.market_ticker)[1]
),
told AS (
    SELECT station, model, toUnixTimestamp64Nano(run_at) AS run_ns, toUnixTimestamp64Nano(event_at) AS valid_ns, revision,
        if(intDiv(valid_ns, 1000000000) % 86400 = 0, 'high', 'low') AS measure,
        toDate32(toInt32(intDiv(intDiv(valid_ns, 1000000000) + any(standard_offset_s), 86400))) AS day,
        min(tuple(
            greatest(toUnixTimestamp64Nano(known_at), toUnixTimestamp64Nano(run_at)), toString(cause_topic),
            cause_partition, cause_offset, cause_index
        )) AS place,
        assumeNotNull(any(coalesce(n_x_f, txn_f))) AS value
    FROM tapefold.forecasts FINAL
    INNER JOIN (SELECT station, standard_offset_s FROM tapefold.weather_stations FINAL) AS stations USING (station)
    WHERE toUnixTimestamp64Nano(event_at) % 43200000000000 = 0 AND event_at > run_at AND coalesce(n_x_f, txn_f) IS NOT NULL
    GROUP BY station, model, run_at, event_at, revision
),
-- after each thing that became known: the newest run, and the one before it
steps AS (
    SELECT station, model, day, measure, place.1 AS known_ns, valid_ns,
        arrayReverseSort(groupArray(tuple(run_ns, place, value)) OVER (
            PARTITION BY station, model, day, measure ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )) AS known_runs,
        known_runs[1] AS newest,
        arrayFirst(run -> run.1 < newest.1, known_runs) AS before,
        before.1 > 0 AS has_before
    FROM told
),
joined AS (
    SELECT asked.market_ticker AS market_ticker, asked.minute AS minute, steps.newest AS newest, steps.before AS before,
        steps.has_before AS has_before, steps.valid_ns AS valid_ns, steps.known_ns AS known_ns
    FROM (
        SELECT market_ticker, minute, end_ns, station, day, measure, arrayJoin(['GFS', 'MEX', 'NAM', 'NBS', 'NBE']) AS model
        FROM bars
    ) AS asked
    ASOF INNER JOIN steps ON steps.station = asked.station AND steps.model = asked.model AND steps.day = asked.day
        AND steps.measure = asked.measure AND steps.known_ns <= asked.end_ns
),
forecasts AS (
    SELECT market_ticker, minute, toUInt8(count()) AS models, avg(newest.3) AS mean_f, max(newest.3) - min(newest.3) AS spread_f,
        if(max(has_before), avgIf(newest.3 - before.3, has_before), NULL) AS change_f, max(valid_ns) AS last_valid_ns,
        max(newest.1) AS newest_run_ns, max(newest.2.1) AS known_ns
    FROM joined
    GROUP BY market_ticker, minute
),
normals AS (
    SELECT station, toUnixTimestamp64Nano(known_at) AS known_ns, assumeNotNull(high_normal_f) AS high_f,
        ifNull(low_normal_f, 0) AS low_f
    FROM tapefold.climate FINAL
    WHERE high_normal_f IS NOT NULL AND low_normal_f IS NOT NULL
),
closes AS (
    SELECT market_ticker, toUnixTimestamp64Nano(known_at) AS known_ns, toUnixTimestamp64Nano(assumeNotNull(close_at)) AS close_ns
    FROM tapefold.market_events FINAL WHERE close_at IS NOT NULL
    UNION ALL
    SELECT market_ticker, toUnixTimestamp64Nano(known_at) AS known_ns, toUnixTimestamp64Nano(assumeNotNull(close_at)) AS close_ns
    FROM tapefold.market_terms FINAL WHERE close_at IS NOT NULL
)
SELECT bars.market_ticker AS market_ticker, bars.minute AS minute, bars.station AS station, bars.day AS target_date_local,
    bars.measure AS measure, forecasts.models AS models,
    if(models > 0, forecasts.mean_f, NULL) AS forecast_mean_f,
    if(models > 0, toFloat64(forecasts.spread_f), NULL) AS forecast_spread_f,
    if(models > 0, forecasts.change_f, NULL) AS run_change_f,
    if(models > 0, (forecasts.last_valid_ns - bars.end_ns) / 3600000000000, NULL) AS lead_hours,
    if(models > 0, fromUnixTimestamp64Nano(forecasts.newest_run_ns, 'UTC'), NULL) AS newest_run_at,
    if(models > 0, fromUnixTimestamp64Nano(forecasts.known_ns, 'UTC'), NULL) AS forecast_known_at,
    if(normals.known_ns > 0, if(bars.measure = 'high', normals.high_f, normals.low_f), NULL) AS normal_f,
    if(closes.known_ns > 0, (closes.close_ns - bars.end_ns) / 3600000000000, NULL) AS hours_to_close,
    bars.close AS close, bars.closed AS bar_closed, bars.bar_known_at AS known_at, toUInt32(1) AS feature_version
FROM bars
LEFT JOIN forecasts ON forecasts.market_ticker = bars.market_ticker AND forecasts.minute = bars.minute
ASOF LEFT JOIN normals ON normals.station = bars.station AND normals.known_ns <= bars.end_ns
ASOF LEFT JOIN closes ON closes.market_ticker = bars.market_ticker AND closes.known_ns <= bars.end_ns;
