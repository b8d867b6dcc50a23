-- As-of forecasts: nothing known after the as-of time, no run after it, none too stale, and no policy that does not ask.
SELECT
    multiIf(
        unsafe, 'asof_unsafe',
        known_at > asof_utc, 'asof_known_too_late',
        chosen_run_utc > asof_utc, 'asof_run_too_late',
        known_at < chosen_run_utc, 'asof_known_before_its_run',
        chosen_run_utc < asof_utc - toIntervalSecond(policies.staleness_s), 'asof_too_stale',
        (chosen_run_utc IS NULL) = (missing_reason IS NULL), 'asof_reason_missing',
        ''
    ) AS kind,
    row_id,
    concat('as of ', toString(asof_utc), ', run ', ifNull(toString(chosen_run_utc), 'none'), ', known ',
        ifNull(toString(known_at), 'never'), ', reason ', ifNull(missing_reason, 'none')) AS detail
FROM (SELECT * FROM tapefold.mos_asof FINAL) AS answers
LEFT JOIN (
    SELECT policy_id, version AS policy_version, max(max_staleness_s) AS staleness_s
    FROM tapefold.asof_policies GROUP BY policy_id, policy_version
) AS policies USING (policy_id, policy_version)
WHERE kind != ''
ORDER BY row_id
