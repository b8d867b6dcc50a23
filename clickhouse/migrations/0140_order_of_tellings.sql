-- One order of tellings everywhere, in the fold, here and in what explains a row: by when they were known, then by what they
-- say, and only then by where they stand. By place before content a third telling, of what was known, at an earlier place made
-- another content hold, without a new revision.

-- trades: the winner is the smallest (known_at, content, topic, partition, offset, index) in 8 + 11 + 2 + 2 + 6 + 3 bytes, all
-- bits turned. Trades come from two topics, which differ in the two letters behind `raw.kalshi.`.
ALTER TABLE tapefold.trades MODIFY COLUMN _rank UInt256 MATERIALIZED bitNot(
    bitShiftLeft(toUInt256(toUnixTimestamp64Nano(known_at)), 192)
    + bitShiftLeft(toUInt256(reinterpretAsUInt128(reverse(toFixedString(substring(MD5(concat(
        toString(toUnixTimestamp64Milli(event_at)), '/', toString(toInt64(toDecimal128(yes_price, 6) * 1000000)), '/',
        toString(toInt64(toDecimal128(no_price, 6) * 1000000)), '/', toString(toInt64(toDecimal128(size, 4) * 10000)), '/',
        known_by
    )), 1, 11), 16)))), 64)
    + bitShiftLeft(toUInt256(reinterpretAsUInt16(reverse(toFixedString(substring(cause_topic, 12, 2), 2)))), 88)
    + bitShiftLeft(toUInt256(cause_partition), 72)
    + bitShiftLeft(toUInt256(cause_offset), 24)
    + toUInt256(cause_index)
) COMMENT 'the larger, the earlier the telling; of several at one time by content';

ALTER TABLE tapefold.trades MATERIALIZE COLUMN _rank SETTINGS mutations_sync = 2;

CREATE OR REPLACE VIEW tapefold_api.mos_asof_computed
COMMENT 'Parameters t, clock: what each policy answers from the facts known by t; mos_asof_from_facts and mos_asof_known read it'
AS WITH stations AS (
    SELECT station, standard_offset_s, series_tickers FROM tapefold.weather_stations FINAL
),
-- one row per content of a maximum or minimum: its earliest telling
told AS (
    SELECT station, model, run_ns, valid_ns, revision,
        intDiv(valid_ns, 1000000000) % 86400 = 0 AS is_max,
        intDiv(intDiv(valid_ns, 1000000000) + any(standard_offset_s), 86400) AS day,
        min(tuple(known_ns, cause_topic, cause_partition, cause_offset, cause_index)) AS place,
        argMin(known_rank, tuple(known_ns, cause_topic, cause_partition, cause_offset, cause_index)) AS how,
        any(value_f) AS value
    FROM (
        SELECT station, model, toUnixTimestamp64Nano(run_at) AS run_ns, toUnixTimestamp64Nano(event_at) AS valid_ns,
            revision, standard_offset_s, greatest(toUnixTimestamp64Nano(known_at), run_ns) AS known_ns,
            toString(cause_topic) AS cause_topic, cause_partition, cause_offset, cause_index,
            indexOf(['observed', 'modelled', 'assumed'], known_by) - 1 AS known_rank, coalesce(n_x_f, txn_f) AS value_f
        FROM tapefold.forecasts FINAL
        INNER JOIN stations USING (station)
        WHERE known_at <= {t:DateTime64(9, 'UTC')}
            AND valid_ns % 43200000000000 = 0 AND valid_ns > run_ns
    )
    GROUP BY station, model, run_ns, valid_ns, revision
),
-- days from the first to the last that a run spoke of, silences of more than 31 days left out
spans AS (
    SELECT station, arrayJoin(arrayFlatten(arrayMap(
        (d, n) -> if(n > d AND n - d <= 31, range(toUInt32(d), toUInt32(n)), [toUInt32(d)]),
        days, arrayPushBack(arraySlice(days, 2), days[-1])
    ))) AS day
    FROM (SELECT station, arraySort(groupUniqArray(day)) AS days FROM told GROUP BY station)
),
tape AS (
    SELECT station, max(reached_ns) AS reached_ns
    FROM (
        SELECT station, toUnixTimestamp64Nano(max(received_at)) AS reached_ns
        FROM tapefold.forecast_runs WHERE known_at <= {t:DateTime64(9, 'UTC')} GROUP BY station
        UNION ALL
        SELECT stations.station AS station, watermark_ns AS reached_ns
        FROM stations
        CROSS JOIN (
            SELECT min(lane_ns) AS watermark_ns, count() AS lanes
            FROM (
                SELECT raw_partition,
                    if(countIf(NOT bye) = 0, max(clock_ns), minIf(clock_ns, NOT bye AND clock_ns + lease_ns >= newest_ns))
                        AS lane_ns
                FROM (
                    SELECT raw_partition, toUnixTimestamp64Nano(clock_at) AS clock_ns, lease_ns, bye,
                        maxIf(clock_ns, NOT bye) OVER (PARTITION BY raw_partition) AS newest_ns
                    FROM tapefold.beats FINAL WHERE _topic = 'fact.forecast'
                )
                GROUP BY raw_partition
            )
        ) AS beats
        WHERE lanes > 0 AND lanes = (SELECT uniqExact(raw_partition) FROM tapefold.beats)
    )
    GROUP BY station
),
asked AS (
    SELECT spans.station AS station, spans.day AS day, policy_id, version, arrayJoin(models) AS model, knowledge, needs,
        unsafe, max_staleness_s, lags_s[model] * 1000000000 AS lag_ns, standard_offset_s, series_tickers,
        ((day + day_offset) * 1440 + minute_of_day) * 60000000000
            - if(standard_time, standard_offset_s, 0) * 1000000000 AS asof_ns,
        if({clock:String} = 'given', toUnixTimestamp64Nano({t:DateTime64(9, 'UTC')}), tape.reached_ns) AS reached_ns
    FROM spans
    INNER JOIN stations USING (station)
    LEFT JOIN tape USING (station)
    CROSS JOIN (SELECT * FROM tapefold.asof_policies FINAL) AS policies
),
-- what each policy knew of each content
seen AS (
    SELECT asked.*, told.run_ns AS run_ns, told.valid_ns AS valid_ns, told.is_max AS is_max, told.place AS place,
        told.value AS value, told.revision AS revision, revision != '' AS is_told,
        knowledge IN ('modelled', 'fixed_lag') AS is_lagged,
        is_told AND multiIf(
            knowledge = 'run_time', 1,
            knowledge = 'observed', told.how = 0 AND place.1 <= asof_ns,
            is_lagged, run_ns + lag_ns <= asof_ns AND place.1 <= asof_ns,
            place.1 <= asof_ns
        ) AS is_known,
        is_lagged AND place.1 < run_ns + lag_ns AS is_delayed,
        if(is_delayed, run_ns + lag_ns, place.1) AS known_ns,
        if(is_delayed, greatest(told.how, if(knowledge = 'modelled', 1, 2)), told.how) AS known_rank,
        told.how = 0 AS is_observed,
        is_known AND value IS NOT NULL AS is_held,
        is_max = (needs = 'tmax') AS is_needed
    FROM asked
    LEFT JOIN told ON told.station = asked.station AND told.model = asked.model AND told.day = asked.day
),
-- one row per run: its rank, and what it holds. 2 not_observed, 3 known_too_late, 4 too_stale, 5 no_value, 6 chosen
runs AS (
    SELECT station, day, policy_id, version, model, run_ns, asof_ns, reached_ns, unsafe, series_tickers,
        multiIf(
            max(is_told) = 0, 1,
            run_ns > asof_ns OR max(is_known) = 0, if(knowledge = 'observed' AND max(is_observed) = 0, 2, 3),
            run_ns < asof_ns - max_staleness_s * 1000000000, 4,
            max(is_held AND is_needed) = 0, 5,
            6
        ) AS rank,
        maxIf(tuple(place.1, revision, place, known_ns, known_rank, value, valid_ns), is_held AND is_max) AS held_max,
        maxIf(tuple(place.1, revision, place, known_ns, known_rank, value, valid_ns), is_held AND NOT is_max) AS held_min,
        max(is_held AND is_max) AS has_max, max(is_held AND NOT is_max) AS has_min,
        maxIf(valid_ns, is_held AND is_needed) AS needed_ns,
        sumIf(greatest(0, intDiv(if(unsafe, run_ns + 864000000000000, asof_ns) - place.1, 1000000)) + 1, is_known) AS weight
    FROM seen
    GROUP BY station, day, policy_id, version, model, run_ns, asof_ns, reached_ns, unsafe, series_tickers, knowledge,
        max_staleness_s
),
best AS (
    SELECT station, day, policy_id, version, model, asof_ns, reached_ns, unsafe, series_tickers,
        max(runs.rank) AS best_rank,
        argMax(tuple(run_ns, held_max, held_min, has_max, has_min, needed_ns, weight), tuple(runs.rank, run_ns)) AS run,
        best_rank = 6 AS is_chosen
    FROM runs
    GROUP BY station, day, policy_id, version, model, asof_ns, reached_ns, unsafe, series_tickers
)
SELECT concat('asof:', station, ':', toString(target_date_local), ':', model, ':', policy_id, '@', toString(version))
        AS row_id,
    station, toDate32(toInt32(day)) AS target_date_local, model, policy_id, version AS policy_version, series_tickers,
    fromUnixTimestamp64Nano(toInt64(asof_ns), 'UTC') AS asof_utc,
    if(is_chosen, fromUnixTimestamp64Nano(toInt64(run.1), 'UTC'), NULL) AS chosen_run_utc,
    arrayFilter(held -> held.2, [(run.2, run.4), (run.3, run.5)]) AS held,
    if(is_chosen, fromUnixTimestamp64Nano(toInt64(arrayMax(held -> held.1.4, held)), 'UTC'), NULL) AS known_at,
    if(is_chosen, ['observed', 'modelled', 'assumed'][arrayMax(held -> held.1.5, held) + 1], NULL) AS known_by,
    if(is_chosen AND run.4, run.2.6, NULL) AS tmax_f,
    if(is_chosen AND run.5, run.3.6, NULL) AS tmin_f,
    if(is_chosen, intDiv(run.6 - run.1, 3600000000000), NULL) AS lead_hours,
    if(reached_ns >= asof_ns, best_rank, 0) AS told_rank,
    if(is_chosen, NULL, ['pending', 'no_run', 'not_observed', 'known_too_late', 'too_stale', 'no_value'][told_rank + 1])
        AS missing_reason,
    unsafe,
    CAST(if(is_chosen, arrayMap(
        held -> (held.1.3.2, held.1.3.3, held.1.3.4, held.1.3.5), arraySort(held -> held.1.3, held)
    ), []), 'Array(Tuple(topic String, partition UInt32, offset UInt64, place UInt32))') AS inputs,
    toUInt64(if(is_chosen, bitShiftLeft(toUInt64(8 + intDiv(run.1, 3600000000000)), 36) + least(run.7, 68719476735),
        bitShiftLeft(toUInt64(told_rank), 36))) AS rev
FROM best;

CREATE OR REPLACE VIEW tapefold_api.settlement_labels_known
AS WITH stations AS (
    SELECT toString(station) AS station, standard_offset_s, series_tickers FROM tapefold.weather_stations FINAL
),
reports AS (
    SELECT toString(station) AS station, day, arraySort(each -> (each.1, each.2, each.3, each.9), groupArray(tuple(
            toUnixTimestamp64Nano(issued_at), product, toUnixTimestamp64Nano(known_at),
            tuple(toString(cause_topic), cause_partition, cause_offset, cause_index), toString(known_by),
            ifNull(report, ''), high_f, low_f, revision
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
        GROUP BY station, climate_day, market_ticker, is_final, value, settled_ns, settlement_source
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
        arraySort(each -> (each.2, isNotNull(each.7.1), each.5, ifNull(each.3, ''), ifNull(each.4, -1), ifNull(each.8.1, ''), each.6),
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

-- Parameters from_at, to_at: of the valid times. Whoever asks by ASOF join gets what was known at a moment: the newest
-- known run that speaks of the day, and the one before it. Things that became known together are one step.
CREATE OR REPLACE VIEW tapefold_api.forecast_steps
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
            greatest(toUnixTimestamp64Nano(known_at), toUnixTimestamp64Nano(run_at)), revision, toString(cause_topic),
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
CREATE OR REPLACE VIEW tapefold_api.report_steps
AS SELECT station, day, known_ns, argMax(tuple(high_f, low_f, report), place) OVER (
        PARTITION BY station, day ORDER BY known_ns RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS told
FROM (
    SELECT station, day, toUnixTimestamp64Nano(known_at) AS known_ns, high_f, low_f, ifNull(report, '') AS report,
        tuple(issued_at, product, known_at, revision) AS place
    FROM tapefold.climate FINAL
    WHERE day BETWEEN toDate32({from_at:DateTime64(9, 'UTC')}) AND toDate32({to_at:DateTime64(9, 'UTC')})
)
COMMENT 'Parameters from_at, to_at: at each moment at which a climate report became known, what the latest issue says';

-- Normals change little from day to day, so those of an earlier day are asked for: the latest day up to the one in
-- question of which a report was known. Each report is a step for the ten days from its own on.
CREATE OR REPLACE VIEW tapefold_api.normal_steps
AS SELECT station, for_day, known_ns, argMax(tuple(high_f, low_f, day), tuple(day, known_ns, product, revision)) OVER (
        PARTITION BY station, for_day ORDER BY known_ns RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS told
FROM (
    SELECT station, day, toUnixTimestamp64Nano(known_at) AS known_ns, high_normal_f AS high_f, low_normal_f AS low_f, product, revision,
        day + arrayJoin(range(11)) AS for_day
    FROM tapefold.climate FINAL
    WHERE high_normal_f IS NOT NULL AND low_normal_f IS NOT NULL
        AND day BETWEEN toDate32({from_at:DateTime64(9, 'UTC')}) - 10 AND toDate32({to_at:DateTime64(9, 'UTC')})
)
COMMENT 'Parameters from_at, to_at: normals by the day they are asked for: of the latest known report of up to ten days before';
