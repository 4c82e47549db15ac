-- $1 completed jobs that fall due for removal, evenly, within the next $2 seconds.
INSERT INTO waybill.river_job (kind, queue, max_attempts, args, state, attempt, attempted_at, created_at, scheduled_at, finalized_at)
SELECT 'bundle', 'analytics', 32767, '{"bundle_ids": [0]}', 'completed', 1, at, at, at, at
FROM generate_series(1, $1::int) AS i
CROSS JOIN LATERAL (
    SELECT now() - interval '1 hour' + make_interval(secs => $2::float8 * i / $1::int) AS at
) AS t;
