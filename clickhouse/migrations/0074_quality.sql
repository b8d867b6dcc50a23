-- Data quality: figures per dataset, key and day, and a health by versioned rules.

CREATE VIEW IF NOT EXISTS tapefold_api.data_quality
(
    dataset LowCardinality(String) COMMENT 'bars_1m, raw_tws_bars, mos_asof or settlement_labels',
    key String COMMENT 'market, symbol or station',
    day Date32 COMMENT 'day of the rows: UTC for bars, the climate day for the others',
    rows UInt64 COMMENT 'rows of the key and day',
    nulls UInt64 COMMENT 'rows without what they are for: no quote, no volume, no run chosen, no label',
    gaps UInt64 COMMENT 'holes in the recording; days that no run speaks of',
    outliers UInt64 COMMENT 'values beyond belief: half a dollar within a minute, a high below the low, labels the venue contradicts',
    late UInt64 COMMENT 'rows known more than two minutes after their end'
)
COMMENT 'Figures of data quality per dataset, key and day'
AS SELECT 'bars_1m' AS dataset, bars.market_ticker AS key, bars.day AS day, bars.rows AS rows, bars.nulls AS nulls,
    ifNull(holes.gaps, 0) AS gaps, bars.outliers AS outliers, bars.late AS late
FROM (
    SELECT market_ticker, toDate32(minute) AS day, count() AS rows, countIf(yes_bid IS NULL AND yes_ask IS NULL) AS nulls,
        countIf(high - low > 0.5) AS outliers, countIf(known_at > minute + INTERVAL 3 MINUTE) AS late
    FROM tapefold.bars_1m FINAL GROUP BY market_ticker, day
) AS bars
LEFT JOIN (
    SELECT market_ticker, toDate32(noticed_at) AS day, count() AS gaps FROM tapefold.gaps FINAL GROUP BY market_ticker, day
) AS holes ON holes.market_ticker = bars.market_ticker AND holes.day = bars.day
UNION ALL
SELECT 'raw_tws_bars' AS dataset, symbol AS key, toDate32(event_at) AS day, count() AS rows,
    countIf(volume IS NULL) AS nulls, 0 AS gaps, countIf(high < low) AS outliers,
    countIf(known_at > end_at + INTERVAL 2 MINUTE) AS late
FROM tapefold.raw_tws_bars FINAL GROUP BY key, day
UNION ALL
SELECT 'mos_asof' AS dataset, station AS key, target_date_local AS day, count() AS rows,
    countIf(missing_reason IS NOT NULL) AS nulls, countIf(missing_reason = 'no_run') AS gaps,
    countIf(tmax_f < tmin_f) AS outliers, 0 AS late
FROM tapefold.mos_asof FINAL
WHERE ifNull(missing_reason, '') != 'pending'
GROUP BY key, day
UNION ALL
SELECT 'settlement_labels' AS dataset, station AS key, target_date_local AS day, count() AS rows,
    countIf(label_f IS NULL) AS nulls, countIf(missing_reason = 'no_report') AS gaps, countIf(agrees = false) AS outliers,
    0 AS late
FROM tapefold.settlement_labels FINAL GROUP BY key, day;

-- get_data_quality_summary(dataset_name, start_date, end_date): the figures of the days from start to end, both included.
CREATE VIEW IF NOT EXISTS tapefold_api.get_data_quality_summary
AS SELECT dataset, key, sum(rows) AS rows, sum(nulls) AS nulls, sum(gaps) AS gaps, sum(outliers) AS outliers,
    sum(late) AS late, round(100 * nulls / rows, 3) AS null_percent, round(100 * gaps / rows, 3) AS gap_percent,
    round(100 * outliers / rows, 3) AS outlier_percent, min(day) AS first_day, max(day) AS last_day
FROM (
    SELECT dataset, key, day, rows AS rows, nulls AS nulls, gaps AS gaps, outliers AS outliers, late AS late
    FROM tapefold_api.data_quality
    WHERE dataset = {dataset_name:String} AND day BETWEEN {start_date:Date32} AND {end_date:Date32}
)
GROUP BY dataset, key
COMMENT 'Parameters dataset_name, start_date, end_date: the figures of those days, both included, by key';

CREATE VIEW IF NOT EXISTS tapefold_api.data_quality_rules
(
    version UInt32 COMMENT 'version of the rules; the latest one decides',
    dataset LowCardinality(String) COMMENT 'dataset',
    metric LowCardinality(String) COMMENT 'null_percent, gap_percent or outlier_percent',
    yellow Float64 COMMENT 'above it the dataset is YELLOW',
    red Float64 COMMENT 'above it the dataset is RED'
)
COMMENT 'Rules of health: a dataset is as healthy as its worst figure, and RED on a day without rows'
AS SELECT toUInt32(1) AS version, dataset, metric, yellow, red
FROM VALUES('dataset String, metric String, yellow Float64, red Float64',
    ('bars_1m', 'null_percent', 50, 90), ('bars_1m', 'gap_percent', 1, 10), ('bars_1m', 'outlier_percent', 1, 10),
    ('raw_tws_bars', 'null_percent', 5, 50), ('raw_tws_bars', 'gap_percent', 1, 10),
    ('raw_tws_bars', 'outlier_percent', 0, 1),
    ('mos_asof', 'null_percent', 20, 60), ('mos_asof', 'gap_percent', 10, 40), ('mos_asof', 'outlier_percent', 0, 5),
    ('settlement_labels', 'null_percent', 0, 50), ('settlement_labels', 'gap_percent', 0, 50),
    ('settlement_labels', 'outlier_percent', 0, 20));

-- get_dataset_health(dataset_name, as_of_date): one row: GREEN, YELLOW or RED, and the figures that say so.
CREATE VIEW IF NOT EXISTS tapefold_api.get_dataset_health
AS SELECT {dataset_name:String} AS dataset, {as_of_date:Date32} AS as_of_date,
    multiIf(day_rows = 0, 'RED', has(statuses, 'RED'), 'RED', has(statuses, 'YELLOW'), 'YELLOW', 'GREEN') AS status,
    if(day_rows = 0, ['no_rows'], arrayFilter((metric, status) -> status != 'GREEN', metrics, statuses)) AS reasons,
    day_rows AS rows, rules_version
FROM (
    SELECT any(figures.day_rows) AS day_rows, max(version) AS rules_version, groupArray(metric) AS metrics,
        groupArray(multiIf(percent > red, 'RED', percent > yellow, 'YELLOW', 'GREEN')) AS statuses
    FROM (
        SELECT version, metric, yellow, red, day_rows,
            multiIf(day_rows = 0, 0, metric = 'null_percent', 100 * day_nulls / day_rows,
                metric = 'gap_percent', 100 * day_gaps / day_rows, 100 * day_outliers / day_rows) AS percent
        FROM (SELECT * FROM tapefold_api.data_quality_rules WHERE dataset = {dataset_name:String}) AS rules
        CROSS JOIN (
            SELECT sum(rows) AS day_rows, sum(nulls) AS day_nulls, sum(gaps) AS day_gaps, sum(outliers) AS day_outliers
            FROM tapefold_api.data_quality
            WHERE dataset = {dataset_name:String} AND day = {as_of_date:Date32}
        ) AS sums
    ) AS figures
)
WHERE rules_version > 0
COMMENT 'Parameters dataset_name, as_of_date: GREEN, YELLOW or RED by the rules in force, and the figures that say so';
