-- An intent is finished by a commit within minutes, by whichever writer is alive. A row here waits for longer.
SELECT
    sink,
    topic,
    partition,
    'intent_stale' AS problem,
    first AS from_offset,
    next AS to_offset,
    concat('a commit of round ', toString(round)) AS expected,
    concat('an intent of ', toString(at), ' by ', owner) AS was
FROM tapefold.sink_intents
WHERE at < {now:DateTime64(9, 'UTC')} - INTERVAL 5 MINUTE
    AND (sink, round) NOT IN (SELECT sink, round FROM tapefold.sink_commits)
    AND (sink, topic, partition, first) NOT IN (SELECT sink, topic, partition, first FROM tapefold.sink_commits)
    AND (sink, topic, partition, first) NOT IN (SELECT sink, topic, partition, first FROM tapefold.sink_gaps)
ORDER BY sink, round, topic, partition
