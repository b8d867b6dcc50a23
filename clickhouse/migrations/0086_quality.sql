-- Data quality of all datasets, features among them, over any days, as known at any time; health that tells the ledger's word.

-- Parameters: name, the dataset, or nothing for all; start, end_at: days [start, end_at) as times.
CREATE VIEW IF NOT EXISTS tapefold_api.data_quality_of
AS SELECT dataset, key, day, rows, nulls, gaps, outliers, late
FROM (
    SELECT 'bars_1m' AS dataset, bars.market_ticker AS key, bars.day AS day, bars.rows AS rows, bars.nulls AS nulls,
        ifNull(holes.gaps, 0) AS gaps, bars.outliers AS outliers, bars.late AS late
    FROM (
        SELECT market_ticker, toDate32(minute) AS day, count() AS rows, countIf(yes_bid IS NULL AND yes_ask IS NULL) AS nulls,
            countIf(high - low > 0.5) AS outliers, countIf(known_at > minute + INTERVAL 3 MINUTE) AS late
        FROM tapefold.bars_1m FINAL
        WHERE {name:String} IN ('', 'bars_1m') AND minute >= {start:DateTime64(9, 'UTC')} AND minute < {end_at:DateTime64(9, 'UTC')}
        GROUP BY market_ticker, day
    ) AS bars
    LEFT JOIN (
        SELECT market_ticker, toDate32(noticed_at) AS day, count() AS gaps FROM tapefold.gaps FINAL
        GROUP BY market_ticker, day
    ) AS holes ON holes.market_ticker = bars.market_ticker AND holes.day = bars.day
    UNION ALL
    SELECT 'raw_tws_bars', symbol, toDate32(event_at) AS day, count(), countIf(volume IS NULL), 0, countIf(high < low),
        countIf(known_at > end_at + INTERVAL 2 MINUTE)
    FROM tapefold.raw_tws_bars FINAL
    WHERE {name:String} IN ('', 'raw_tws_bars')
        AND event_at >= {start:DateTime64(9, 'UTC')} AND event_at < {end_at:DateTime64(9, 'UTC')}
    GROUP BY symbol, day
    UNION ALL
    SELECT figures.1, symbol, day, rows, figures.2, figures.3, figures.4, late
    FROM (
        SELECT symbol, toDate32(minute) AS day, count() AS rows, countIf(known_at > minute + INTERVAL 3 MINUTE) AS late, [
            (
                'curated_tws_1m_bars', countIf(volume IS NULL AND what_to_show = 'TRADES'), sum(gap_minutes),
                countIf(abs(return_1m) > 0.1 OR close <= 0)
            ),
            (
                'features_price_1m_v1', countIf(minutes_since_open >= 15 AND (return_15m IS NULL OR realised_vol_15m IS NULL)),
                countIf(gap_1m), countIf(abs(volume_z_60m) > 20)
            )
        ] AS of_both
        FROM tapefold_api.features_price_1m_of(
            of = 'fold', t = '2262-01-01 00:00:00', start = {start:DateTime64(9, 'UTC')}, end_at = {end_at:DateTime64(9, 'UTC')}
        )
        WHERE {name:String} IN ('', 'curated_tws_1m_bars', 'features_price_1m_v1')
        GROUP BY symbol, day
    )
    ARRAY JOIN of_both AS figures
    WHERE {name:String} IN ('', figures.1)
    UNION ALL
    SELECT 'features_weather', market_ticker, toDate32(minute) AS day, count(), countIf(models = 0), countIf(NOT bar_closed),
        countIf(forecast_spread_f > 30), countIf(known_at > minute + INTERVAL 3 MINUTE)
    FROM tapefold_api.features_weather_of(
        of = 'fold', t = '2262-01-01 00:00:00', start = {start:DateTime64(9, 'UTC')}, end_at = {end_at:DateTime64(9, 'UTC')}
    )
    WHERE {name:String} IN ('', 'features_weather')
    GROUP BY market_ticker, day
    UNION ALL
    SELECT 'mos_asof', station, target_date_local, count(), countIf(missing_reason IS NOT NULL),
        countIf(missing_reason = 'no_run'), countIf(tmax_f < tmin_f), 0
    FROM tapefold.mos_asof FINAL
    WHERE {name:String} IN ('', 'mos_asof') AND ifNull(missing_reason, '') != 'pending'
        AND target_date_local >= toDate32({start:DateTime64(9, 'UTC')}) AND target_date_local < toDate32({end_at:DateTime64(9, 'UTC')})
    GROUP BY station, target_date_local
    UNION ALL
    SELECT 'settlement_labels', station, target_date_local, count(), countIf(label_f IS NULL),
        countIf(missing_reason = 'no_report'), countIf(agrees = false), 0
    FROM tapefold.settlement_labels FINAL
    WHERE {name:String} IN ('', 'settlement_labels') AND target_date_local >= toDate32({start:DateTime64(9, 'UTC')}) AND target_date_local < toDate32({end_at:DateTime64(9, 'UTC')})
    GROUP BY station, target_date_local
)
COMMENT 'Parameters name, start, end_at: figures per dataset, key and day; data_quality reads it';

-- The same of what was known at t: of rows from facts known by then, never from old revisions.
CREATE VIEW IF NOT EXISTS tapefold_api.data_quality_known
AS SELECT dataset, key, day, rows, nulls, gaps, outliers, late
FROM (
    SELECT 'bars_1m' AS dataset, bars.market_ticker AS key, bars.day AS day, bars.rows AS rows, bars.nulls AS nulls,
        ifNull(holes.gaps, 0) AS gaps, bars.outliers AS outliers, bars.late AS late
    FROM (
        SELECT market_ticker, toDate32(minute) AS day, count() AS rows, countIf(yes_bid IS NULL AND yes_ask IS NULL) AS nulls,
            countIf(high - low > 0.5) AS outliers, countIf(known_at > minute + INTERVAL 3 MINUTE) AS late
        FROM tapefold_api.bars_1m_known(t = {t:DateTime64(9, 'UTC')})
        GROUP BY market_ticker, day
    ) AS bars
    LEFT JOIN (
        SELECT market_ticker, toDate32(noticed_at) AS day, count() AS gaps FROM tapefold.gaps FINAL
        WHERE noticed_at <= {t:DateTime64(9, 'UTC')}
        GROUP BY market_ticker, day
    ) AS holes ON holes.market_ticker = bars.market_ticker AND holes.day = bars.day
    UNION ALL
    SELECT 'raw_tws_bars', symbol, toDate32(event_at) AS day, count(), countIf(volume IS NULL), 0, countIf(high < low),
        countIf(known_at > end_at + INTERVAL 2 MINUTE)
    FROM tapefold.raw_tws_bars FINAL
    WHERE known_at <= {t:DateTime64(9, 'UTC')}
    GROUP BY symbol, day
    UNION ALL
    SELECT figures.1, symbol, day, rows, figures.2, figures.3, figures.4, late
    FROM (
        SELECT symbol, toDate32(minute) AS day, count() AS rows, countIf(known_at > minute + INTERVAL 3 MINUTE) AS late, [
            (
                'curated_tws_1m_bars', countIf(volume IS NULL AND what_to_show = 'TRADES'), sum(gap_minutes),
                countIf(abs(return_1m) > 0.1 OR close <= 0)
            ),
            (
                'features_price_1m_v1', countIf(minutes_since_open >= 15 AND (return_15m IS NULL OR realised_vol_15m IS NULL)),
                countIf(gap_1m), countIf(abs(volume_z_60m) > 20)
            )
        ] AS of_both
        FROM tapefold_api.features_price_1m_known(t = {t:DateTime64(9, 'UTC')})
        GROUP BY symbol, day
    )
    ARRAY JOIN of_both AS figures
    UNION ALL
    SELECT 'features_weather', market_ticker, toDate32(minute) AS day, count(), countIf(models = 0), countIf(NOT bar_closed),
        countIf(forecast_spread_f > 30), countIf(known_at > minute + INTERVAL 3 MINUTE)
    FROM tapefold_api.features_weather_known(t = {t:DateTime64(9, 'UTC')})
    GROUP BY market_ticker, day
    UNION ALL
    SELECT 'mos_asof', station, target_date_local, count(), countIf(missing_reason IS NOT NULL),
        countIf(missing_reason = 'no_run'), countIf(tmax_f < tmin_f), 0
    FROM tapefold_api.mos_asof_computed(t = {t:DateTime64(9, 'UTC')}, clock = 'given')
    WHERE ifNull(missing_reason, '') != 'pending'
    GROUP BY station, target_date_local
    UNION ALL
    SELECT 'settlement_labels', station, target_date_local, count(), countIf(label_f IS NULL),
        countIf(missing_reason = 'no_report'), countIf(agrees = false), 0
    FROM tapefold_api.settlement_labels_known(t = {t:DateTime64(9, 'UTC')})
    GROUP BY station, target_date_local
)
COMMENT 'Parameter t: data_quality as it was known then: of rows from facts known by then';

CREATE OR REPLACE VIEW tapefold_api.data_quality
(
    dataset LowCardinality(String) COMMENT 'bars_1m, raw_tws_bars, curated_tws_1m_bars, features_price_1m_v1, features_weather, mos_asof or settlement_labels',
    key String COMMENT 'market, symbol or station',
    day Date32 COMMENT 'day of the rows: UTC for bars and features, the climate day for the others',
    rows UInt64 COMMENT 'rows of the key and day',
    nulls UInt64 COMMENT 'rows without what they are for: no quote, volume, return or volatility, forecast, run or label',
    gaps UInt64 COMMENT 'holes in the recording; minutes without a bar; rows behind a hole; days that no run speaks of',
    outliers UInt64 COMMENT 'values beyond belief: half a dollar or a tenth within a minute, a high below the low, labels the venue contradicts',
    late UInt64 COMMENT 'rows known more than two minutes after their end'
)
COMMENT 'Figures of data quality per dataset, key and day'
AS SELECT * FROM tapefold_api.data_quality_of(
    name = '', start = '1980-01-01 00:00:00', end_at = '2260-01-01 00:00:00'
);

-- get_data_quality_summary(dataset_name, start_date, end_date): the figures of the days from start to end, both included.
CREATE OR REPLACE VIEW tapefold_api.get_data_quality_summary
AS SELECT dataset, key, sum(rows) AS rows, sum(nulls) AS nulls, sum(gaps) AS gaps, sum(outliers) AS outliers,
    sum(late) AS late, round(100 * nulls / rows, 3) AS null_percent, round(100 * gaps / rows, 3) AS gap_percent,
    round(100 * outliers / rows, 3) AS outlier_percent, min(day) AS first_day, max(day) AS last_day
FROM (
    SELECT dataset, key, day, rows AS rows, nulls AS nulls, gaps AS gaps, outliers AS outliers, late AS late
    FROM tapefold_api.data_quality_of(
        name = {dataset_name:String},
        start = toDateTime64({start_date:Date32}, 9, 'UTC'), end_at = toDateTime64({end_date:Date32} + 1, 9, 'UTC')
    )
    WHERE dataset = {dataset_name:String}
)
GROUP BY dataset, key
COMMENT 'Parameters dataset_name, start_date, end_date: the figures of those days, both included, by key';

CREATE OR REPLACE VIEW tapefold_api.data_quality_rules
(
    version UInt32 COMMENT 'version of the rules with which this one came; of each dataset and metric the latest one decides',
    dataset LowCardinality(String) COMMENT 'dataset',
    metric LowCardinality(String) COMMENT 'null_percent, gap_percent or outlier_percent',
    yellow Float64 COMMENT 'above it the dataset is YELLOW',
    red Float64 COMMENT 'above it the dataset is RED'
)
COMMENT 'Rules of health: a dataset is as healthy as its worst figure, and RED on a day without rows'
AS SELECT version, dataset, metric, yellow, red
FROM VALUES('version UInt32, dataset String, metric String, yellow Float64, red Float64',
    (1, 'bars_1m', 'null_percent', 50, 90), (1, 'bars_1m', 'gap_percent', 1, 10), (1, 'bars_1m', 'outlier_percent', 1, 10),
    (1, 'raw_tws_bars', 'null_percent', 5, 50), (1, 'raw_tws_bars', 'gap_percent', 1, 10),
    (1, 'raw_tws_bars', 'outlier_percent', 0, 1),
    (1, 'mos_asof', 'null_percent', 20, 60), (1, 'mos_asof', 'gap_percent', 10, 40), (1, 'mos_asof', 'outlier_percent', 0, 5),
    (1, 'settlement_labels', 'null_percent', 0, 50), (1, 'settlement_labels', 'gap_percent', 0, 50),
    (1, 'settlement_labels', 'outlier_percent', 0, 20),
    (2, 'curated_tws_1m_bars', 'null_percent', 5, 50), (2, 'curated_tws_1m_bars', 'gap_percent', 2, 20),
    (2, 'curated_tws_1m_bars', 'outlier_percent', 0, 1),
    (2, 'features_price_1m_v1', 'null_percent', 5, 30), (2, 'features_price_1m_v1', 'gap_percent', 2, 20),
    (2, 'features_price_1m_v1', 'outlier_percent', 1, 10),
    (2, 'features_weather', 'null_percent', 10, 50), (2, 'features_weather', 'gap_percent', 5, 50),
    (2, 'features_weather', 'outlier_percent', 0, 10));

-- get_dataset_health(dataset_name, as_of_date): one row: GREEN, YELLOW or RED, and the figures that say so. TWS may say itself that there is nothing (a holiday): that is no fault.
CREATE OR REPLACE VIEW tapefold_api.get_dataset_health
AS SELECT dataset, as_of_date, status, reasons, rows, rules_version, accepted, annotations FROM (
    SELECT {dataset_name:String} AS dataset, {as_of_date:Date32} AS as_of_date,
        (
            SELECT count() > 0 AND min(told) FROM (
                SELECT argMax(status = 'complete' AND bars = 0, received_at) AS told FROM tapefold_api.tws_units
                WHERE date = toString({as_of_date:Date32}) AND {dataset_name:String} IN ('raw_tws_bars', 'curated_tws_1m_bars', 'features_price_1m_v1')
                GROUP BY symbol, con_id, what_to_show, bar_size, use_rth, event_at
            )
        ) AS told_empty,
        multiIf(day_rows = 0, if(told_empty, 'GREEN', 'RED'), has(statuses, 'RED'), 'RED', has(statuses, 'YELLOW'), 'YELLOW', 'GREEN') AS status,
        if(day_rows = 0, [if(told_empty, 'told_empty', 'no_rows')], arrayFilter((metric, status) -> status != 'GREEN', metrics, statuses)) AS reasons,
        day_rows AS rows, rules_version,
        (
            SELECT groupArray(tuple(verdict, note)) FROM (
                SELECT verdict, note FROM tapefold_api.annotations
                WHERE dataset = {dataset_name:String} AND verdict != 'withdrawn' AND from_at < toDateTime64({as_of_date:Date32} + 1, 9, 'UTC')
                    AND to_at > toDateTime64({as_of_date:Date32}, 9, 'UTC')
                ORDER BY annotation_id
            )
        ) AS decisions,
        has(decisions.1, 'accepted') AS accepted, arrayMap(each -> concat(each.1, ': ', each.2), decisions) AS annotations
    FROM (
        SELECT any(figures.day_rows) AS day_rows, max(version) AS rules_version, groupArray(metric) AS metrics,
            groupArray(multiIf(percent > red, 'RED', percent > yellow, 'YELLOW', 'GREEN')) AS statuses
        FROM (
            SELECT version, metric, yellow, red, day_rows,
                multiIf(day_rows = 0, 0, metric = 'null_percent', 100 * day_nulls / day_rows,
                    metric = 'gap_percent', 100 * day_gaps / day_rows, 100 * day_outliers / day_rows) AS percent
            FROM (
                SELECT * FROM tapefold_api.data_quality_rules WHERE dataset = {dataset_name:String}
                ORDER BY version DESC LIMIT 1 BY metric
            ) AS rules
            CROSS JOIN (
                SELECT sum(rows) AS day_rows, sum(nulls) AS day_nulls, sum(gaps) AS day_gaps, sum(outliers) AS day_outliers
                FROM tapefold_api.data_quality_of(
                    name = {dataset_name:String},
                    start = toDateTime64({as_of_date:Date32}, 9, 'UTC'), end_at = toDateTime64({as_of_date:Date32} + 1, 9, 'UTC')
                )
            ) AS sums
        ) AS figures
    )
    WHERE rules_version > 0
)
COMMENT 'Parameters dataset_name, as_of_date: GREEN, YELLOW or RED by the rules in force, the figures that say so, and what was decided';
