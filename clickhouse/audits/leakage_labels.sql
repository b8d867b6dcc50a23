-- Labels: nothing before the venue looked, before it said so, before the day was over, or before the report was known; and no
-- later report.
SELECT
    multiIf(
        label_f IS NULL, '',
        known_at < check_utc, 'label_known_before_the_check',
        check_by = 'venue' AND known_at < venue_known_at, 'label_known_before_the_outcome',
        toUnixTimestamp(assumeNotNull(check_utc)) < (toInt64(target_date_local) + 1) * 86400 - standard_offset_s,
        'label_before_the_day_was_over',
        length(chosen) = 0, 'label_without_report',
        arrayMin(chosen.issued_at) > check_utc, 'label_issued_after_the_check',
        known_at < arrayMin(chosen.known_at), 'label_known_before_its_report',
        NOT has(chosen.report, 'final'), 'label_of_a_preliminary_report',
        NOT has(chosen.value_f, label_f), 'label_value_revised',
        ''
    ) AS kind,
    row_id,
    concat('label ', toString(label_f), ' of ', ifNull(product, 'none'), ', check ', toString(check_utc), ', known ',
        toString(known_at)) AS detail
FROM (
    SELECT *, arrayFilter(told -> told.product = labels.product, reports) AS chosen
    FROM (SELECT * FROM tapefold.settlement_labels FINAL) AS labels
) AS labels
LEFT JOIN (SELECT station, standard_offset_s FROM tapefold.weather_stations FINAL) AS stations USING (station)
WHERE kind != ''
ORDER BY row_id
