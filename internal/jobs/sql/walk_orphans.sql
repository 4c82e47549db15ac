-- Bundles with neither an outcome nor a job that will give them one: somebody deleted
-- the job, or a foreign leader discarded it. Also jobs and requests of workers that have
-- no heartbeat row at all. One step looks at 5,000 bundles and moves on; when everything
-- behind is settled the next round starts there, and once a day at the beginning,
-- because a transaction may commit later than one with a higher id. What lies in the
-- future is old: the clock has stepped back.
WITH due AS (
    SELECT position, settled, restart_at <= clock_timestamp() AS restart
    FROM waybill.walk
    WHERE name = 'orphans' AND (next_at <= clock_timestamp() OR next_at > clock_timestamp() + interval '10 minutes')
    FOR UPDATE SKIP LOCKED
),
page AS MATERIALIZED (
    SELECT b.id, b.job_id, b.action_key, b.event, b.user_id, b.enqueued_at
    FROM due
    CROSS JOIN LATERAL (
        SELECT * FROM waybill.bundle
        WHERE id > CASE WHEN due.restart THEN 0 ELSE due.position END
        ORDER BY id
        LIMIT 5000
    ) AS b
),
-- OFFSET 0 makes it a look-up for each row of the page. Left to itself the planner reads a
-- table as a whole for them, as long as nobody has counted what is in it.
unsettled AS MATERIALIZED (
    SELECT p.*, j.state
    FROM page AS p
    LEFT JOIN LATERAL (SELECT * FROM waybill.delivery WHERE bundle_id = p.id OFFSET 0) AS d ON true
    LEFT JOIN LATERAL (SELECT * FROM waybill.river_job WHERE id = p.job_id OFFSET 0) AS j ON true
    WHERE (d.bundle_id IS NULL OR d.outcome = 'in_doubt')
),
lost AS MATERIALIZED (
    SELECT u.*, nextval('waybill.river_job_id_seq') AS new_job_id
    FROM unsettled AS u
    WHERE (u.state IS NULL OR u.state IN ('completed', 'discarded'))
        AND u.enqueued_at NOT BETWEEN clock_timestamp() - interval '10 seconds' AND clock_timestamp() + interval '10 seconds'
),
-- A cancelled job is a person's wish: its bundle is not sent.
cancelled AS (
    INSERT INTO waybill.delivery AS d (bundle_id, outcome, reason)
    SELECT u.id, 'skipped', 'its job was cancelled by an operator'
    FROM unsettled AS u
    WHERE u.state = 'cancelled'
    ON CONFLICT (bundle_id) DO UPDATE
    SET outcome = EXCLUDED.outcome, reason = EXCLUDED.reason, at = clock_timestamp()
    WHERE d.outcome = 'in_doubt'
),
jobs AS (
    INSERT INTO waybill.river_job (id, kind, queue, priority, max_attempts, args, metadata)
    SELECT l.new_job_id, 'bundle', 'analytics', 1, 32767,
        jsonb_strip_nulls(jsonb_build_object(
            'bundle_ids', jsonb_build_array(l.id), 'action_key', l.action_key, 'event', l.event, 'user_id', l.user_id
        )),
        jsonb_build_object('waybill_requeued', 'its job was ' || coalesce(l.state::text, 'gone'))
    FROM lost AS l
),
repointed AS (
    UPDATE waybill.bundle AS b SET job_id = l.new_job_id FROM lost AS l WHERE b.id = l.id
),
ownerless AS (
    UPDATE waybill.river_job AS j
    SET state = 'available', attempt = greatest(j.attempt - 1, 0)
    FROM due
    WHERE j.state = 'running' AND j.queue = 'analytics' AND j.kind = 'bundle'
        AND j.attempted_at NOT BETWEEN clock_timestamp() - interval '30 seconds' AND clock_timestamp() + interval '30 seconds'
        AND NOT EXISTS (
            SELECT FROM waybill.worker AS w
            WHERE w.id = j.attempted_by[array_upper(j.attempted_by, 1)]
        )
),
cut_off AS (
    DELETE FROM waybill.request AS r
    USING due
    WHERE NOT EXISTS (SELECT FROM waybill.worker AS w WHERE w.id = r.worker)
    RETURNING r.id, r.started_at, r.bundle_ids
),
in_doubt AS (
    INSERT INTO waybill.delivery AS d (bundle_id, outcome, reason, request_id, doubt_since)
    SELECT DISTINCT ON (bundle_id) bundle_id, 'in_doubt', 'its worker is gone and the answer was not recorded', c.id, c.started_at
    FROM cut_off AS c
    CROSS JOIN LATERAL unnest(c.bundle_ids) AS bundle_id
    ORDER BY bundle_id, c.id
    ON CONFLICT (bundle_id) DO UPDATE
    SET reason = EXCLUDED.reason, request_id = EXCLUDED.request_id, at = clock_timestamp(),
        doubt_since = least(d.doubt_since, EXCLUDED.doubt_since)
    WHERE d.outcome = 'in_doubt'
        -- in the statement above the same bundle may just have been cancelled
        AND NOT EXISTS (SELECT FROM unsettled AS u WHERE u.id = d.bundle_id AND u.state = 'cancelled')
),
moved AS (
    UPDATE waybill.walk AS w
    SET position = CASE
            WHEN (SELECT count(*) FROM page) = 5000 THEN (SELECT max(id) FROM page)
            ELSE n.settled
        END,
        settled = n.settled,
        restart_at = CASE WHEN due.restart THEN clock_timestamp() + interval '1 day' ELSE w.restart_at END,
        next_at = clock_timestamp() + CASE WHEN (SELECT count(*) FROM page) = 5000 THEN interval '1 second' ELSE $1::interval END
    FROM due
    CROSS JOIN LATERAL (
        SELECT CASE
            -- Only a page that begins where everything before is settled moves the mark,
            -- and only up to its first bundle that is not.
            WHEN due.restart OR due.position = due.settled THEN coalesce(
                (SELECT min(id) - 1 FROM unsettled), (SELECT max(id) FROM page), due.settled)
            ELSE due.settled
        END AS settled
    ) AS n
    WHERE w.name = 'orphans'
)
SELECT count(*)::int FROM lost;
