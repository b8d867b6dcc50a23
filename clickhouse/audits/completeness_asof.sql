-- Every row says why it is empty, by the closed list.
SELECT 'asof_reason_unknown' AS kind, row_id, ifNull(missing_reason, 'NULL') AS detail
FROM tapefold.mos_asof FINAL
WHERE (chosen_run_utc IS NULL AND ifNull(missing_reason, '') NOT IN (
    'pending', 'no_run', 'not_observed', 'known_too_late', 'too_stale', 'no_value'
)) OR (chosen_run_utc IS NOT NULL AND missing_reason IS NOT NULL)
ORDER BY row_id
