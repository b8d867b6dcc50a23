-- The price features that users read, by their version; and the registry: what each feature is, of what, and known when.

CREATE VIEW IF NOT EXISTS tapefold_api.features_price_1m_v1
(
    symbol LowCardinality(String) COMMENT 'name under which the user knows the contract',
    con_id Nullable(Int64) COMMENT 'Interactive Brokers\' id of the contract; NULL: not told',
    what_to_show LowCardinality(String) COMMENT 'what the prices are of: TRADES, MIDPOINT, BID, ASK, BID_ASK or ADJUSTED_LAST',
    use_rth Nullable(Bool) COMMENT 'regular trading hours only; NULL: not told',
    minute DateTime64(9, 'UTC') COMMENT 'start of the minute, UTC; the features are those of its end',
    close Decimal(18, 6) COMMENT 'last price of the minute',
    return_1m Nullable(Float64) COMMENT 'close / close of 1 minute before - 1; NULL: no bar there, or a price not above 0',
    return_5m Nullable(Float64) COMMENT 'close / close of 5 minutes before - 1; NULL: as return_1m',
    return_15m Nullable(Float64) COMMENT 'close / close of 15 minutes before - 1; NULL: as return_1m',
    realised_vol_15m Nullable(Float64) COMMENT 'root of the summed squared log returns of the last 15 minutes; NULL: fewer than 10 of them',
    range_1m Nullable(Float64) COMMENT '(high - low) / close; NULL: the close is not above 0',
    range_15m Nullable(Float64) COMMENT '(highest - lowest of the last 15 minutes) / close; NULL: the close is not above 0',
    volume Nullable(Decimal(18, 4)) COMMENT 'units traded in the minute; NULL: these bars have none',
    volume_z_60m Nullable(Float64) COMMENT 'volume in standard deviations from the mean of the 60 minutes before; NULL: fewer than 20 volumes, or all equal',
    gap_1m Bool COMMENT 'the minute before has no bar, and the session had begun',
    gap_minutes UInt32 COMMENT 'minutes without a bar right before, within the session',
    missing_15m UInt8 COMMENT 'of the last 15 minutes those without a bar, within the session',
    minutes_since_open UInt32 COMMENT 'minutes from the first bar of the session, which begins after an hour without bars and on Saturdays (UTC)',
    station Nullable(String) COMMENT 'station that the symbol is about; NULL: none',
    measure Nullable(String) COMMENT 'high or low: the value of the day that the symbol is about; NULL: no station',
    target_date_local Nullable(Date32) COMMENT 'climate day that the symbol is about in this minute; NULL: no station',
    models UInt8 COMMENT 'models of which a run was known that speaks of the day',
    forecast_mean_f Nullable(Float64) COMMENT 'mean of the newest known run of each model, degrees Fahrenheit; NULL: none',
    forecast_spread_f Nullable(Float64) COMMENT 'largest minus smallest of them; NULL: none',
    run_change_f Nullable(Float64) COMMENT 'mean of newest run minus the run before, of models with two runs; NULL: none',
    newest_run_at Nullable(DateTime64(9, 'UTC')) COMMENT 'nominal time of the newest run; NULL: none',
    forecast_known_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when the last of the used values was known; NULL: none',
    reported_f Nullable(Int64) COMMENT 'value of the latest climate report of the day known by then; NULL: none',
    report Nullable(String) COMMENT 'preliminary or final, as that report tells; NULL: none, or not told',
    normal_f Nullable(Int64) COMMENT 'normal of the latest day up to the target day, and ten days before at most, whose report was known; NULL: none',
    normal_date_local Nullable(Date32) COMMENT 'that day; NULL: none',
    known_at DateTime64(9, 'UTC') COMMENT 'first moment at which a decision may use the row: when the last bar it leans on was known',
    known_by LowCardinality(String) COMMENT 'how that is known, of the bars it leans on the weakest: observed, modelled or assumed',
    row_id String COMMENT 'identity of the row; that of its bar behind `price:`',
    feature_version UInt32 COMMENT 'version of these definitions, see feature_registry'
)
COMMENT 'Price features of every curated minute of TWS, joined with what was known of the weather at its end'
AS SELECT * FROM tapefold_api.features_price_1m_of(
    of = 'fold', t = '2262-01-01 00:00:00', start = '1980-01-01 00:00:00', end_at = '2260-01-01 00:00:00'
);

CREATE VIEW IF NOT EXISTS tapefold_api.features_price_1m_known
AS SELECT * FROM tapefold_api.features_price_1m_of(
    of = 'facts', t = {t:DateTime64(9, 'UTC')}, start = '1980-01-01 00:00:00', end_at = {t:DateTime64(9, 'UTC')}
)
COMMENT 'Parameter t: features_price_1m_v1 as it was known then: from tellings known by then, never from old revisions';

CREATE VIEW IF NOT EXISTS tapefold_api.feature_registry
(
    feature_set LowCardinality(String) COMMENT 'table of the features',
    version UInt32 COMMENT 'version of the definitions, as in the column feature_version; other words are another version',
    feature String COMMENT 'column',
    definition String COMMENT 'what it is',
    inputs Array(String) COMMENT 'datasets that it is computed from',
    knowledge String COMMENT 'what of them it may use, and since when it may be used'
)
COMMENT 'Features by name and version: definition, inputs, and rule of knowledge'
AS WITH
    'bars whose known_at is not after the row\'s; the row is known when the last bar since the open of its session was' AS of_bars,
    'values known at the end of the minute; runs not before their nominal time' AS of_forecasts,
    'reports known at the end of the minute' AS of_reports,
    'terms announced by the end of the minute' AS of_terms,
    'the bar alone; the row is known when its bar was' AS of_bar,
    'none: it follows from the names' AS of_names
SELECT feature_set, toUInt32(if(feature_set = 'features_weather', 2, 1)) AS version, feature, definition, inputs,
    transform(rule, ['bars', 'bar', 'forecasts', 'reports', 'terms'], [of_bars, of_bar, of_forecasts, of_reports, of_terms], of_names)
        AS knowledge
FROM VALUES(
    'feature_set String, feature String, rule String, inputs Array(String), definition String',
    ('features_price_1m_v1', 'close', 'bars', ['curated_tws_1m_bars'], 'last price of the minute'),
    ('features_price_1m_v1', 'return_1m', 'bars', ['curated_tws_1m_bars'], 'close / close of exactly 1 minute before - 1; both above 0'),
    ('features_price_1m_v1', 'return_5m', 'bars', ['curated_tws_1m_bars'], 'close / close of exactly 5 minutes before - 1; both above 0'),
    ('features_price_1m_v1', 'return_15m', 'bars', ['curated_tws_1m_bars'], 'close / close of exactly 15 minutes before - 1; both above 0'),
    ('features_price_1m_v1', 'realised_vol_15m', 'bars', ['curated_tws_1m_bars'], 'sqrt(sum of squared 1-minute log returns of the last 15 minutes), of 10 returns at least'),
    ('features_price_1m_v1', 'range_1m', 'bars', ['curated_tws_1m_bars'], '(high - low) / close'),
    ('features_price_1m_v1', 'range_15m', 'bars', ['curated_tws_1m_bars'], '(highest high - lowest low of the last 15 minutes) / close'),
    ('features_price_1m_v1', 'volume', 'bars', ['curated_tws_1m_bars'], 'units traded in the minute'),
    ('features_price_1m_v1', 'volume_z_60m', 'bars', ['curated_tws_1m_bars'], '(volume - mean) / sample standard deviation, of the volumes of the 60 minutes before, 20 at least'),
    ('features_price_1m_v1', 'gap_1m', 'bars', ['curated_tws_1m_bars'], 'no bar in the minute before, unless the session begins here'),
    ('features_price_1m_v1', 'gap_minutes', 'bars', ['curated_tws_1m_bars'], 'minutes without a bar right before, within the session'),
    ('features_price_1m_v1', 'missing_15m', 'bars', ['curated_tws_1m_bars'], 'minutes without a bar among the last 15, within the session'),
    ('features_price_1m_v1', 'minutes_since_open', 'bars', ['curated_tws_1m_bars'], 'minutes since the first bar after an hour without bars, or after Saturday 00:00 UTC'),
    ('features_price_1m_v1', 'models', 'forecasts', ['forecasts', 'symbol_stations'], 'models with a known run that speaks of the day'),
    ('features_price_1m_v1', 'forecast_mean_f', 'forecasts', ['forecasts', 'symbol_stations'], 'mean over models of the value of the newest known run'),
    ('features_price_1m_v1', 'forecast_spread_f', 'forecasts', ['forecasts', 'symbol_stations'], 'largest minus smallest of these values'),
    ('features_price_1m_v1', 'run_change_f', 'forecasts', ['forecasts', 'symbol_stations'], 'mean over models with two known runs of newest minus the run before'),
    ('features_price_1m_v1', 'newest_run_at', 'forecasts', ['forecasts', 'symbol_stations'], 'nominal time of the newest of these runs'),
    ('features_price_1m_v1', 'forecast_known_at', 'forecasts', ['forecasts', 'symbol_stations'], 'when the last of these values became known'),
    ('features_price_1m_v1', 'reported_f', 'reports', ['climate', 'symbol_stations'], 'value of the latest issue among the known reports of the day'),
    ('features_price_1m_v1', 'report', 'reports', ['climate', 'symbol_stations'], 'preliminary or final, of that report'),
    ('features_price_1m_v1', 'normal_f', 'reports', ['climate', 'symbol_stations'], 'normal told by the known report of the latest day from ten days before the target day to itself'),
    ('features_price_1m_v1', 'normal_date_local', 'reports', ['climate', 'symbol_stations'], 'the day of that report'),
    ('features_weather', 'models', 'forecasts', ['bars_1m', 'forecasts'], 'models with a known run that speaks of the market\'s day'),
    ('features_weather', 'forecast_mean_f', 'forecasts', ['bars_1m', 'forecasts'], 'mean over models of the value of the newest known run'),
    ('features_weather', 'forecast_spread_f', 'forecasts', ['bars_1m', 'forecasts'], 'largest minus smallest of these values'),
    ('features_weather', 'run_change_f', 'forecasts', ['bars_1m', 'forecasts'], 'mean over models with two known runs of newest minus the run before'),
    ('features_weather', 'lead_hours', 'forecasts', ['bars_1m', 'forecasts'], 'hours from the end of the minute to the latest valid time of these values'),
    ('features_weather', 'newest_run_at', 'forecasts', ['bars_1m', 'forecasts'], 'nominal time of the newest of these runs'),
    ('features_weather', 'forecast_known_at', 'forecasts', ['bars_1m', 'forecasts'], 'when the last of these values became known'),
    ('features_weather', 'normal_f', 'reports', ['bars_1m', 'climate'], 'normal told by the known report of the latest day from ten days before the target day to itself'),
    ('features_weather', 'normal_date_local', 'reports', ['bars_1m', 'climate'], 'the day of that report'),
    ('features_weather', 'hours_to_close', 'terms', ['bars_1m', 'market_events', 'market_terms'], 'hours from the end of the minute to the close that was announced last'),
    ('features_weather', 'close', 'bar', ['bars_1m'], 'yes price of the last trade of the minute'),
    ('features_weather', 'bar_closed', 'bar', ['bars_1m'], 'the bar is closed')
);
