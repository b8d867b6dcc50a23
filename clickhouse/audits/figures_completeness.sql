-- Not findings: how much is missing per model, and the reasons in order of frequency.
SELECT model, count() AS answers, round(100 * countIf(missing_reason IS NOT NULL) / count(), 2) AS missing_percent,
    sumMapIf([ifNull(missing_reason, '')], [toUInt64(1)], missing_reason IS NOT NULL) AS reasons,
    arrayStringConcat(arrayMap(
        reason -> concat(reason.1, ' ', toString(reason.2)),
        arraySlice(arrayReverseSort(reason -> reason.2, arrayZip(reasons.1, reasons.2)), 1, 3)
    ), ', ') AS top_reasons
FROM tapefold.mos_asof FINAL
GROUP BY model
ORDER BY model
