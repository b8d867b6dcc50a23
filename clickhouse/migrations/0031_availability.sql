-- When the upstream really had what it publishes: measured by whoever watched, never by nominal times.

CREATE VIEW IF NOT EXISTS tapefold_api.arrivals
(
    source LowCardinality(String) COMMENT 'iem.mos or iem.cli',
    model LowCardinality(String) COMMENT 'model of the run; of a climate report preliminary or final',
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    cycle UInt8 COMMENT 'hour of the nominal time, UTC; of a climate report 0',
    nominal_at DateTime64(9, 'UTC') COMMENT 'nominal time of the run, or time of issue in the header of the report',
    arrived_at DateTime64(9, 'UTC') COMMENT 'first answer that had all of it',
    absent_at Nullable(DateTime64(9, 'UTC')) COMMENT 'the answer before that one; NULL: a report, polled at a fixed pace',
    lag_s Float64 COMMENT 'seconds from nominal_at to arrived_at',
    known_by LowCardinality(String) COMMENT 'observed: by a live clock; assumed: the clock of a tape'
)
COMMENT 'One row per run or report that came while we watched: it was not there when we asked before'
AS SELECT 'iem.mos' AS source, model, station, toUInt8(toHour(run_at)) AS cycle, run_at AS nominal_at,
    min(received_at) AS arrived_at, argMin(absent_at, received_at) AS absent_at,
    (toUnixTimestamp64Nano(min(received_at)) - toUnixTimestamp64Nano(run_at)) / 1e9 AS lag_s,
    argMin(known_by, received_at) AS known_by
FROM (SELECT model, station, run_at, received_at, absent_at, known_by, seen FROM tapefold_api.forecast_runs WHERE reason IS NULL)
GROUP BY model, station, run_at
HAVING argMin(seen, received_at) = 'first'
UNION ALL
SELECT 'iem.cli', coalesce(report, 'unknown'), station, toUInt8(0), issued_at, min(received_at), NULL,
    (toUnixTimestamp64Nano(min(received_at)) - toUnixTimestamp64Nano(issued_at)) / 1e9, argMin(known_by, received_at)
FROM (SELECT report, station, day, product, issued_at, received_at, known_by FROM tapefold_api.climate WHERE known_by = 'observed')
GROUP BY report, station, day, product, issued_at;

CREATE VIEW IF NOT EXISTS tapefold_api.availability
(
    source LowCardinality(String) COMMENT 'iem.mos or iem.cli',
    model LowCardinality(String) COMMENT 'model of the run; of a climate report preliminary or final',
    station LowCardinality(String) COMMENT 'station, such as KMIA',
    cycle UInt8 COMMENT 'hour of the nominal time, UTC; of a climate report 0',
    known_by LowCardinality(String) COMMENT 'observed: by a live clock; assumed: the clock of a tape',
    arrivals UInt64 COMMENT 'how many came while we watched',
    lag_p50_min Float64 COMMENT 'minutes from the nominal time to the arrival: half of them took at most this',
    lag_p90_min Float64 COMMENT 'nine of ten took at most this',
    lag_p99_min Float64 COMMENT 'ninety-nine of a hundred took at most this',
    lag_max_min Float64 COMMENT 'all took at most this',
    resolution_max_min Nullable(Float64) COMMENT 'minutes between the arrival and the answer before: how sharp the worst of them is'
)
COMMENT 'How long after its nominal time a run, or a report, could be used'
AS SELECT source, model, station, cycle, known_by, count() AS arrivals,
    quantileExactHigh(0.5)(lag_s) / 60 AS lag_p50_min, quantileExactHigh(0.9)(lag_s) / 60 AS lag_p90_min,
    quantileExactHigh(0.99)(lag_s) / 60 AS lag_p99_min, max(lag_s) / 60 AS lag_max_min,
    max((toUnixTimestamp64Nano(arrived_at) - toUnixTimestamp64Nano(absent_at)) / 6e10) AS resolution_max_min
FROM tapefold_api.arrivals
GROUP BY source, model, station, cycle, known_by;
