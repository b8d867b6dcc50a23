-- As-of forecasts against the facts they name: each input is a forecast of that run, known by then, with that value.
SELECT
    multiIf(
        countIf(told.cause_topic = '') > 0, 'asof_without_facts',
        max(told.known_ns) > any(answers.known_ns), 'asof_known_before_its_inputs',
        any(tmax_f IS NOT NULL) AND NOT has(groupArrayIf(told.value, told.is_max), any(tmax_f)), 'asof_value_revised',
        any(tmin_f IS NOT NULL) AND NOT has(groupArrayIf(told.value, NOT told.is_max), any(tmin_f)), 'asof_value_revised',
        ''
    ) AS kind,
    row_id,
    concat('maximum ', ifNull(toString(any(tmax_f)), 'none'), ', minimum ', ifNull(toString(any(tmin_f)), 'none'),
        ', told ', toString(groupArray(told.value))) AS detail
FROM (
    SELECT row_id, station, model, toUnixTimestamp64Nano(assumeNotNull(chosen_run_utc)) AS run_ns,
        toUnixTimestamp64Nano(assumeNotNull(known_at)) AS known_ns, tmax_f, tmin_f, arrayJoin(inputs) AS input,
        input.topic AS topic, input.partition AS partition, input.offset AS offset, input.place AS place
    FROM tapefold.mos_asof FINAL
    WHERE chosen_run_utc IS NOT NULL AND known_at IS NOT NULL
) AS answers
LEFT JOIN (
    SELECT station, model, toUnixTimestamp64Nano(run_at) AS run_ns, cause_topic, cause_partition, cause_offset, cause_index,
        greatest(toUnixTimestamp64Nano(known_at), run_ns) AS known_ns, coalesce(n_x_f, txn_f) AS value,
        toHour(event_at) = 0 AS is_max
    FROM tapefold.forecasts FINAL
) AS told ON told.station = answers.station AND told.model = answers.model AND told.run_ns = answers.run_ns
    AND told.cause_topic = answers.topic AND told.cause_partition = answers.partition
    AND told.cause_offset = answers.offset AND told.cause_index = answers.place
GROUP BY row_id
HAVING kind != ''
ORDER BY row_id
