-- What models are trained on: features without what the ledger calls unusable, and with what else it says.

-- A price feature leans on the hour before its minute, so it is left out when any of that is unusable.
CREATE VIEW IF NOT EXISTS tapefold_api.get_features_for_training
AS WITH (
    SELECT groupArray(tuple(keys, toUnixTimestamp64Nano(from_at), toUnixTimestamp64Nano(to_at), toString(verdict), note))
    FROM tapefold_api.annotations
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
    of = 'fold', t = '2262-01-01 00:00:00', start = {start:DateTime64(9, 'UTC')}, end_at = {end_at:DateTime64(9, 'UTC')}
)
WHERE (empty({symbols:Array(String)}) OR has({symbols:Array(String)}, symbol)) AND NOT has(decisions.4, 'unusable')
COMMENT 'Parameters symbols (none: all), start, end_at: features_price_1m_v1 without unusable ranges, with the other annotations';

-- Of a weather market the minutes may be unusable, or its day: the forecasts or the label of its climate day.
CREATE VIEW IF NOT EXISTS tapefold_api.get_weather_features_for_training
AS WITH (
    SELECT groupArray(tuple(
        keys, toUnixTimestamp64Nano(from_at), toUnixTimestamp64Nano(to_at), toString(verdict), note,
        dataset IN ('mos_asof', 'settlement_labels')
    ))
    FROM tapefold_api.annotations
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
    of = 'fold', t = '2262-01-01 00:00:00', start = {start:DateTime64(9, 'UTC')}, end_at = {end_at:DateTime64(9, 'UTC')}
)
WHERE (empty({series_tickers:Array(String)}) OR has({series_tickers:Array(String)}, series_ticker))
    AND NOT has(decisions.4, 'unusable')
COMMENT 'Parameters series_tickers (none: all), start, end_at: features_weather without unusable ranges, with the other annotations';
