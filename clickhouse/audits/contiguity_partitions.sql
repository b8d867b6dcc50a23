-- The partitions of the topics that a sink has committed records of for five minutes and longer: those with a commit, an accepted
-- gap or an intent, which other queries hold to each other. The log is asked which others it has records of: these nobody reads.
SELECT DISTINCT topic, partition
FROM
(
    SELECT sink, topic, partition FROM tapefold.sink_commits
    UNION ALL
    SELECT sink, topic, partition FROM tapefold.sink_gaps
    UNION ALL
    SELECT sink, topic, partition FROM tapefold.sink_intents
)
WHERE sink = {sink:String} AND topic IN (
    SELECT topic FROM tapefold.sink_commits
    WHERE sink = {sink:String}
    GROUP BY topic
    HAVING min(at) < {now:DateTime64(9, 'UTC')} - INTERVAL 5 MINUTE
)
ORDER BY topic, partition
