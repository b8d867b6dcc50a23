-- Features fit for use, at any time: what a model is trained on and what it is asked with differ in the time of knowledge alone.

-- A price feature leans on the hour before its minute, so it is left out when any of that is unusable.
CREATE VIEW IF NOT EXISTS tapefold_api.features_price_1m_fit
AS WITH (
    SELECT groupArray(tuple(keys, toUnixTimestamp64Nano(from_at), toUnixTimestamp64Nano(to_at), toString(verdict), note))
    FROM tapefold_api.annotations_known(t = {t:DateTime64(9, 'UTC')})
    WHERE dataset IN ('features_price_1m_v1', 'curated_tws_1m_bars', 'raw_tws_bars') AND verdict != 'withdrawn'
        AND from_at < {end_at:DateTime64(9, 'UTC')} AND to_at > {start:DateTime64(9, 'UTC')} - INTERVAL 1 HOUR
) AS ledger,
arrayFilter(
    decided -> (empty(decided.1) OR has(decided.1, symbol)) AND decided.2 < toUnixTimestamp64Nano(minute) + 60000000000
        AND decided.3 > toUnixTimestamp64Nano(minute) - 3600000000000,
    ledger
) AS decisions
SELECT *, arraySort(arrayMap(decided -> concat(decided.4, ': ', decided.5), decisions)) AS annotations
FROM tapefold_api.features_price_1m_of(
    of = {of:String}, t = {t:DateTime64(9, 'UTC')}, start = {start:DateTime64(9, 'UTC')}, end_at = {end_at:DateTime64(9, 'UTC')}
)
WHERE (empty({symbols:Array(String)}) OR has({symbols:Array(String)}, symbol)) AND NOT has(decisions.4, 'unusable')
COMMENT 'Parameters of, t, symbols (none: all), start, end_at: features_price_1m_of without what was unusable at t, with the other annotations';

-- Of a weather market the minutes may be unusable, or its day: the forecasts or the label of its climate day.
CREATE VIEW IF NOT EXISTS tapefold_api.features_weather_fit
AS WITH (
    SELECT groupArray(tuple(
        keys, toUnixTimestamp64Nano(from_at), toUnixTimestamp64Nano(to_at), toString(verdict), note,
        dataset IN ('mos_asof', 'settlement_labels')
    ))
    FROM tapefold_api.annotations_known(t = {t:DateTime64(9, 'UTC')})
    WHERE dataset IN ('features_weather', 'bars_1m', 'mos_asof', 'settlement_labels') AND verdict != 'withdrawn'
) AS ledger,
splitByChar('-', market_ticker)[1] AS series_ticker,
toInt64(toInt32(target_date_local)) * 86400000000000 AS day_ns,
arrayFilter(
    decided -> (empty(decided.1) OR hasAny(decided.1, [market_ticker, series_ticker, toString(station)]))
        AND if(decided.6, decided.2 <= day_ns AND decided.3 > day_ns, decided.2 < toUnixTimestamp64Nano(minute) + 60000000000
            AND decided.3 > toUnixTimestamp64Nano(minute)),
    ledger
) AS decisions
SELECT *, arraySort(arrayMap(decided -> concat(decided.4, ': ', decided.5), decisions)) AS annotations
FROM tapefold_api.features_weather_of(
    of = {of:String}, t = {t:DateTime64(9, 'UTC')}, start = {start:DateTime64(9, 'UTC')}, end_at = {end_at:DateTime64(9, 'UTC')}
)
WHERE (empty({series_tickers:Array(String)}) OR has({series_tickers:Array(String)}, series_ticker))
    AND NOT has(decisions.4, 'unusable')
COMMENT 'Parameters of, t, series_tickers (none: all), start, end_at: features_weather_of without what was unusable at t, with the other annotations';

CREATE OR REPLACE VIEW tapefold_api.get_features_for_training
AS SELECT * FROM tapefold_api.features_price_1m_fit(
    of = 'fold', t = '2262-01-01 00:00:00', symbols = {symbols:Array(String)}, start = {start:DateTime64(9, 'UTC')},
    end_at = {end_at:DateTime64(9, 'UTC')}
)
COMMENT 'Parameters symbols (none: all), start, end_at: features_price_1m_v1 without unusable ranges, with the other annotations';

CREATE OR REPLACE VIEW tapefold_api.get_weather_features_for_training
AS SELECT * FROM tapefold_api.features_weather_fit(
    of = 'fold', t = '2262-01-01 00:00:00', series_tickers = {series_tickers:Array(String)}, start = {start:DateTime64(9, 'UTC')},
    end_at = {end_at:DateTime64(9, 'UTC')}
)
COMMENT 'Parameters series_tickers (none: all), start, end_at: features_weather without unusable ranges, with the other annotations';

-- The same features, of facts and of decisions that were known at asof: asked for a past moment, it answers as it did then.
CREATE VIEW IF NOT EXISTS tapefold_api.get_features_for_inference
AS SELECT * FROM tapefold_api.features_price_1m_fit(
    of = 'facts', t = {asof:DateTime64(9, 'UTC')}, symbols = {symbols:Array(String)}, start = {start:DateTime64(9, 'UTC')},
    end_at = {end_at:DateTime64(9, 'UTC')}
)
WHERE known_at <= {asof:DateTime64(9, 'UTC')}
COMMENT 'Parameters symbols (none: all), start, end_at, asof: features_price_1m_v1 as known at asof, without what was unusable then, with the other annotations';

CREATE VIEW IF NOT EXISTS tapefold_api.get_weather_features_for_inference
AS SELECT * FROM tapefold_api.features_weather_fit(
    of = 'facts', t = {asof:DateTime64(9, 'UTC')}, series_tickers = {series_tickers:Array(String)}, start = {start:DateTime64(9, 'UTC')},
    end_at = {end_at:DateTime64(9, 'UTC')}
)
WHERE known_at <= {asof:DateTime64(9, 'UTC')}
COMMENT 'Parameters series_tickers (none: all), start, end_at, asof: features_weather as known at asof, without what was unusable then, with the other annotations';
