-- So many jobs that were completed two hours ago, and a cleaner that is about to come: a drain
-- is over before it would by itself.
WITH due AS (
    UPDATE waybill.walk SET next_at = '-infinity' WHERE name = 'jobs'
)
INSERT INTO waybill.river_job (kind, queue, max_attempts, args, state, attempt, attempted_at, created_at, scheduled_at, finalized_at)
SELECT 'bundle', 'analytics', 32767, '{"bundle_ids": [0]}', 'completed', 1, at, at, at, at
FROM generate_series(1, $1::int) AS i
CROSS JOIN LATERAL (SELECT now() - interval '2 hours' + i * interval '1 ms' AS at) AS t;
