-- What the audits found, and when: the last run of each is the health of the store.

CREATE TABLE IF NOT EXISTS tapefold.audit_runs
(
    audit LowCardinality(String) COMMENT 'name of the audit',
    at DateTime64(9, 'UTC') COMMENT 'when it ended',
    took_ms UInt64 COMMENT 'how long it took',
    checked UInt64 COMMENT 'ranges, rows or places that it looked at',
    findings UInt64 COMMENT 'what it found; 0: all is as promised',
    detail String COMMENT 'the first findings, JSON'
)
ENGINE = MergeTree
ORDER BY (audit, at)
SETTINGS non_replicated_deduplication_window = 100
COMMENT 'Runs of the audits';

CREATE VIEW IF NOT EXISTS tapefold_api.audits
(
    audit LowCardinality(String) COMMENT 'name of the audit',
    last_at DateTime64(9, 'UTC') COMMENT 'when it last ended',
    took_ms UInt64 COMMENT 'how long that took',
    checked UInt64 COMMENT 'ranges, rows or places that it looked at',
    findings UInt64 COMMENT 'what it found; 0: all is as promised',
    detail String COMMENT 'the first findings, JSON'
)
AS SELECT
    audit,
    max(at) AS last_at,
    argMax(took_ms, at) AS took_ms,
    argMax(checked, at) AS checked,
    argMax(findings, at) AS findings,
    argMax(detail, at) AS detail
FROM tapefold.audit_runs
GROUP BY audit
COMMENT 'The last run of each audit';
