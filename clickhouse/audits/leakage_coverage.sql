-- What ended or was mended cannot have been known to be before it was.
SELECT 'gap_repaired_before_it_was_noticed' AS kind, row_id,
    concat('noticed ', toString(noticed_at), ', repaired ', toString(repaired_at)) AS detail
FROM tapefold.gaps FINAL
WHERE repaired_at < noticed_at AND kind != 'crash' -- a tape that is run again tells of a crash at an earlier time of its own
UNION ALL
SELECT 'coverage_end_known_before_it_came' AS kind,
    concat('coverage:', conn, ':', toString(sid), ':', channel, ':', market_ticker) AS row_id,
    concat('ended ', toString(ended_at), ', known ', toString(known_at)) AS detail
FROM tapefold.coverage FINAL
WHERE ended_at > known_at
ORDER BY row_id
