-- Labels: the climate report as it stood at the venue's check, the venue's own value beside it, and where they differ.

CREATE TABLE IF NOT EXISTS tapefold.settlement_labels
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    series_ticker LowCardinality(String) COMMENT 'weather series that settles on it',
    target_date_local Date32 COMMENT 'climate day: midnight to midnight local standard time',
    measure LowCardinality(String) COMMENT 'high or low: which value of the day the series settles on',
    era LowCardinality(String) COMMENT 'who settles: nws, the climate report; twc, The Weather Company, for which it is a proxy',
    check_utc Nullable(DateTime64(9, 'UTC')) COMMENT 'when the venue looked; NULL: no final report is known',
    check_by LowCardinality(Nullable(String)) COMMENT 'venue: it said when it settled; rule: by the rule of the era',
    label_f Nullable(Int64) COMMENT 'value of the last final report issued by the check, degrees Fahrenheit',
    product Nullable(String) COMMENT 'that report',
    known_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when the label was known: not before the check, nor before the report',
    known_by LowCardinality(Nullable(String)) COMMENT 'how that is known: observed, modelled or assumed',
    missing_reason LowCardinality(Nullable(String)) COMMENT 'why there is no label: no_report, not_final, after_expiration, no_value',
    venue_value_f Nullable(Int64) COMMENT 'whole degrees that the venue says it settled on; NULL: it says no such number',
    venue_value Nullable(String) COMMENT 'what it says, as told',
    venue_known_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when that was known',
    venue_settled_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when it says it settled',
    agrees Nullable(Bool) COMMENT 'label and value of the venue are equal; NULL: one of them is missing',
    reports Array(Tuple(
        issued_at DateTime64(9, 'UTC'), known_at DateTime64(9, 'UTC'), known_by String, value_f Nullable(Int64),
        report String, product String, topic String, partition UInt32, offset UInt64, place UInt32
    )) COMMENT 'every report of the day, oldest first, each known at its own time',
    rev UInt64 COMMENT 'grows with the set of reports and outcomes',
    row_id String COMMENT 'identity of the row; the same for all its revisions',
    _topic LowCardinality(String) COMMENT 'topic of the record that brought this row',
    _partition UInt32 COMMENT 'partition of that record',
    _offset UInt64 COMMENT 'offset of that record; a repeat stands at another offset' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(rev)
PARTITION BY toYYYYMM(target_date_local)
ORDER BY (station, target_date_local, series_ticker)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Labels of climate days, the revisions not yet merged away';

CREATE VIEW IF NOT EXISTS tapefold_api.settlement_labels
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    series_ticker LowCardinality(String) COMMENT 'weather series that settles on it',
    target_date_local Date32 COMMENT 'climate day: midnight to midnight local standard time',
    measure LowCardinality(String) COMMENT 'high or low: which value of the day the series settles on',
    era LowCardinality(String) COMMENT 'who settles: nws, the climate report; twc, The Weather Company, for which it is a proxy',
    check_utc Nullable(DateTime64(9, 'UTC')) COMMENT 'when the venue looked; NULL: no final report is known',
    check_by LowCardinality(Nullable(String)) COMMENT 'venue: it said when it settled; rule: by the rule of the era',
    label_f Nullable(Int64) COMMENT 'value of the last final report issued by the check, degrees Fahrenheit',
    product Nullable(String) COMMENT 'that report',
    known_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when the label was known: not before the check, nor before the report',
    known_by LowCardinality(Nullable(String)) COMMENT 'how that is known: observed, modelled or assumed',
    missing_reason LowCardinality(Nullable(String)) COMMENT 'why there is no label: no_report, not_final, after_expiration, no_value',
    venue_value_f Nullable(Int64) COMMENT 'whole degrees that the venue says it settled on; NULL: it says no such number',
    venue_value Nullable(String) COMMENT 'what it says, as told',
    venue_known_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when that was known',
    venue_settled_at Nullable(DateTime64(9, 'UTC')) COMMENT 'when it says it settled',
    agrees Nullable(Bool) COMMENT 'label and value of the venue are equal; NULL: one of them is missing',
    reports Array(Tuple(
        issued_at DateTime64(9, 'UTC'), known_at DateTime64(9, 'UTC'), known_by String, value_f Nullable(Int64),
        report String, product String, topic String, partition UInt32, offset UInt64, place UInt32
    )) COMMENT 'every report of the day, oldest first, each known at its own time',
    rev UInt64 COMMENT 'grows with the set of reports and outcomes',
    row_id String COMMENT 'identity of the row; the same for all its revisions'
)
COMMENT 'What each series settles on: the report as it stood at the check of the venue, and what the venue says'
AS SELECT station, series_ticker, target_date_local, measure, era, check_utc, check_by, label_f, product, known_at,
    known_by, missing_reason, venue_value_f, venue_value, venue_known_at, venue_settled_at, agrees, reports, rev, row_id
FROM tapefold.settlement_labels FINAL;

CREATE VIEW IF NOT EXISTS tapefold_api.label_disagreements
(
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    series_ticker LowCardinality(String) COMMENT 'weather series that settles on it',
    target_date_local Date32 COMMENT 'climate day',
    measure LowCardinality(String) COMMENT 'high or low',
    era LowCardinality(String) COMMENT 'who settles: nws or twc',
    label_f Nullable(Int64) COMMENT 'value of the climate report at the check',
    venue_value_f Nullable(Int64) COMMENT 'value that the venue says it settled on',
    check_utc Nullable(DateTime64(9, 'UTC')) COMMENT 'when the venue looked',
    product Nullable(String) COMMENT 'the report',
    values_f Array(Nullable(Int64)) COMMENT 'values of all reports of the day, oldest first',
    row_id String COMMENT 'identity of the label'
)
COMMENT 'Days on which the report at the check of the venue and the value of the venue differ; nothing is smoothed'
AS SELECT station, series_ticker, target_date_local, measure, era, label_f, venue_value_f, check_utc, product,
    reports.value_f AS values_f, row_id
FROM tapefold.settlement_labels FINAL
WHERE agrees = false;

-- Parameter t: the last report of each climate day that was known then; preliminary values are the highest so far.
CREATE VIEW IF NOT EXISTS tapefold_api.climate_known
AS SELECT station, day, argMax(high_f, _latest) AS high_f, argMax(low_f, _latest) AS low_f,
    argMax(product, _latest) AS product, max(issued_at) AS issued_at, argMax(known_at, _latest) AS known_at,
    argMax(known_by, _latest) AS known_by, argMax(report, _latest) AS report
FROM (
    SELECT *, tuple(issued_at, product, known_at, cause_topic, cause_partition, cause_offset, cause_index) AS _latest
    FROM tapefold.climate FINAL
    WHERE known_at <= {t:DateTime64(9, 'UTC')}
)
GROUP BY station, day
COMMENT 'Parameter t: the last report of each climate day that was known then';
