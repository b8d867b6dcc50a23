-- Labels as known at t anew: where an outcome ever said that the venue looked before the rule's time, the label is known no
-- earlier than the outcome that holds, for nobody knew before which reports the venue had seen.

CREATE OR REPLACE VIEW tapefold_api.settlement_labels_known
AS WITH stations AS (
    SELECT toString(station) AS station, standard_offset_s, series_tickers FROM tapefold.weather_stations FINAL
),
reports AS (
    SELECT toString(station) AS station, day, arraySort(each -> (each.1, each.2, each.3, each.4), groupArray(tuple(
            toUnixTimestamp64Nano(issued_at), product, toUnixTimestamp64Nano(known_at),
            tuple(toString(cause_topic), cause_partition, cause_offset, cause_index), toString(known_by),
            ifNull(report, ''), high_f, low_f
        ))) AS told
    FROM tapefold.climate FINAL
    WHERE known_at <= {t:DateTime64(9, 'UTC')}
    GROUP BY station, day
),
outcomes AS (
    SELECT station, day, groupArray(tuple(market_ticker, is_final, value, settled_ns, first.1, first.2, first.3, first.4)) AS said
    FROM (
        SELECT toString(assumeNotNull(station)) AS station, toDate32(assumeNotNull(climate_day)) AS day, market_ticker,
            status = 'finalized' AS is_final, expiration_value AS value, toUnixTimestamp64Nano(settled_at) AS settled_ns,
            min(tuple(
                toUnixTimestamp64Nano(known_at), tuple(toString(cause_topic), cause_partition, cause_offset, cause_index),
                tuple(if(expiration_number = floor(expiration_number), toInt64(expiration_number), NULL)),
                tuple(toString(settlement_source))
            )) AS first
        FROM tapefold.settlements FINAL
        WHERE known_at <= {t:DateTime64(9, 'UTC')} AND station IS NOT NULL AND climate_day IS NOT NULL
        GROUP BY station, climate_day, market_ticker, is_final, value, settled_ns
    )
    GROUP BY station, day
),
days AS (
    SELECT station, day, arrayJoin(series_tickers) AS series_ticker, told, said,
        (toInt64(toInt32(day)) + 1) * 86400000000000 - standard_offset_s * 1000000000 AS end_ns,
        if(position(series_ticker, 'LOW') > 0, 'low', 'high') AS measure,
        arrayMap(each -> tuple(
            each.1, each.3, each.5, if(measure = 'high', each.7, each.8),
            if(each.1 >= end_ns AND each.6 != 'preliminary', 'final', 'preliminary'), each.2, each.4
        ), told) AS values,
        arrayFilter(each -> each.5 = 'final', values) AS finals,
        notEmpty(finals) AS has_final, finals[1].1 AS release_ns,
        has_final AND release_ns > end_ns + 604800000000000 AS expired,
        -- a final outcome before a provisional one, one with a number before one without, then the one known last
        arraySort(each -> (each.2, isNotNull(each.7.1), each.5, each.6),
            arrayFilter(each -> splitByChar('-', each.1)[1] = series_ticker, said)) AS told_by_venue,
        notEmpty(told_by_venue) AS has_venue, told_by_venue[-1] AS venue,
        toTimeZone(fromUnixTimestamp64Nano(release_ns, 'UTC'), 'America/New_York') AS released,
        toInt64(toUnixTimestamp(makeDateTime(toYear(released), toMonth(released), toDayOfMonth(released), 8, 0, 0, 'America/New_York')))
            * 1000000000 AS eight_ns,
        toDate(released) + 1 AS next_day,
        if(eight_ns >= release_ns, eight_ns, toInt64(toUnixTimestamp(makeDateTime(
            toYear(next_day), toMonth(next_day), toDayOfMonth(next_day), 8, 0, 0, 'America/New_York'
        ))) * 1000000000) AS by_rule_ns,
        arrayExists(each -> ifNull(each.4 >= release_ns AND each.4 < by_rule_ns, false), told_by_venue) AS was_said,
        has_venue AND venue.4 >= release_ns AND venue.4 < by_rule_ns AS looked_before,
        has_final AND NOT expired AS has_check,
        if(ifNull(looked_before, false), assumeNotNull(venue.4), by_rule_ns) AS check_ns,
        arrayFilter(each -> has_check AND each.1 <= check_ns AND each.4 IS NOT NULL, finals) AS seen,
        notEmpty(seen) AS has_label, seen[-1] AS chosen,
        arrayMap(each -> each.3, told) AS reports_known_ns, arrayMap(each -> each.5, said) AS outcomes_known_ns
    FROM (
        SELECT station, day, told, said FROM reports FULL OUTER JOIN outcomes USING (station, day)
    ) AS facts
    INNER JOIN stations USING (station)
)
SELECT station, series_ticker, day AS target_date_local, measure,
    if(has_venue AND notEmpty(venue.8.1), venue.8.1, if(day < toDate32('2026-08-14'), 'nws', 'twc')) AS era,
    if(has_check, fromUnixTimestamp64Nano(check_ns, 'UTC'), NULL) AS check_utc,
    if(has_check, if(ifNull(looked_before, false), 'venue', 'rule'), NULL) AS check_by,
    if(has_label, chosen.4, NULL) AS label_f, if(has_label, chosen.6, NULL) AS product,
    if(has_label, fromUnixTimestamp64Nano(greatest(check_ns, chosen.2, if(was_said, venue.5, 0)), 'UTC'), NULL) AS known_at,
    if(has_label, chosen.3, NULL) AS known_by,
    multiIf(has_label, NULL, empty(values), 'no_report', NOT has_final, 'not_final', expired, 'after_expiration', 'no_value')
        AS missing_reason,
    if(has_venue, venue.7.1, NULL) AS venue_value_f, if(has_venue, venue.3, NULL) AS venue_value,
    if(has_venue, fromUnixTimestamp64Nano(venue.5, 'UTC'), NULL) AS venue_known_at,
    if(has_venue AND venue.4 IS NOT NULL, fromUnixTimestamp64Nano(assumeNotNull(venue.4), 'UTC'), NULL) AS venue_settled_at,
    if(has_label AND has_venue, chosen.4 = venue.7.1, NULL) AS agrees,
    CAST(arrayMap(each -> tuple(
            fromUnixTimestamp64Nano(each.1, 'UTC'), fromUnixTimestamp64Nano(each.2, 'UTC'), each.3, each.4, each.5, each.6,
            each.7.1, each.7.2, each.7.3, each.7.4
        ), values),
        'Array(Tuple(issued_at DateTime64(9, \'UTC\'), known_at DateTime64(9, \'UTC\'), known_by String, value_f Nullable(Int64), report String, product String, topic String, partition UInt32, offset UInt64, place UInt32))') AS reports,
    toUInt64(arraySum(arrayMap(
        known_ns -> greatest(1, 1099511627776 - intDiv(known_ns - end_ns - positiveModulo(known_ns - end_ns, 1000000), 1000000)),
        arrayConcat(reports_known_ns, outcomes_known_ns)
    ))) AS rev,
    concat('label:', station, ':', toString(day), ':', series_ticker) AS row_id
FROM days
WHERE known_at IS NULL OR known_at <= {t:DateTime64(9, 'UTC')}
COMMENT 'Parameter t: labels of the reports and outcomes known then; a label is not known before the venue looked';
