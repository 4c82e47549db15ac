-- Takes over from a worker whose row has not changed: its open requests are in doubt,
-- its jobs are available again. One statement, and only while the row is as it was
-- seen: a worker that is alive after all has beaten meanwhile.
WITH dead AS (
    DELETE FROM waybill.worker WHERE id = $1 AND beat = $2 RETURNING id
),
cut_off AS (
    DELETE FROM waybill.request AS r USING dead WHERE r.worker = dead.id
    RETURNING r.id, r.started_at, r.bundle_ids
),
in_doubt AS (
    INSERT INTO waybill.delivery AS d (bundle_id, outcome, reason, request_id, doubt_since)
    SELECT DISTINCT ON (bundle_id) bundle_id, 'in_doubt', 'its worker died before the answer was recorded', c.id, c.started_at
    FROM cut_off AS c
    CROSS JOIN LATERAL unnest(c.bundle_ids) AS bundle_id
    ORDER BY bundle_id, c.id
    ON CONFLICT (bundle_id) DO UPDATE
    SET reason = EXCLUDED.reason,
        request_id = EXCLUDED.request_id,
        at = clock_timestamp(),
        doubt_since = least(d.doubt_since, EXCLUDED.doubt_since)
    WHERE d.outcome = 'in_doubt'
    RETURNING 1
),
freed AS (
    UPDATE waybill.river_job AS j
    SET state = 'available', attempt = greatest(j.attempt - 1, 0)
    FROM dead
    WHERE j.state = 'running'
        AND j.queue = 'analytics'
        AND j.kind = 'bundle'
        AND j.attempted_by[array_upper(j.attempted_by, 1)] = dead.id
    RETURNING 1
)
SELECT (SELECT count(*) FROM dead), (SELECT count(*) FROM freed), (SELECT count(*) FROM in_doubt);
