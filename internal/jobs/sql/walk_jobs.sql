-- Completed jobs go after an hour. River's own cleaner is off: it reads the whole table for
-- each 10,000 jobs. While a page is full the step is due again at once.
WITH due AS (
    SELECT 1 FROM waybill.walk
    WHERE name = 'jobs' AND (next_at <= clock_timestamp() OR next_at > clock_timestamp() + interval '10 minutes')
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM waybill.river_job
    WHERE id IN (
        SELECT j.id
        FROM due
        CROSS JOIN LATERAL (
            SELECT id FROM waybill.river_job
            WHERE state = 'completed' AND finalized_at < now() - interval '1 hour' AND queue = 'analytics'
            ORDER BY state, finalized_at
            LIMIT 5000
        ) AS j
    )
    RETURNING 1
),
moved AS (
    UPDATE waybill.walk
    SET next_at = clock_timestamp() + CASE WHEN (SELECT count(*) FROM gone) = 5000 THEN interval '0' ELSE $1::interval END
    FROM due
    WHERE name = 'jobs'
)
SELECT count(*)::int FROM gone;
