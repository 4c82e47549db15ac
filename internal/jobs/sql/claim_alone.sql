-- claim.sql for a worker that is alone. There is nobody whose jobs it would have to leave
-- out, so it does not lock them before it takes them, which is a record in the log for each,
-- and it finds them again by where they stand. A job that somebody cancels meanwhile is
-- waited for, and then left alone: not every Postgres compares the place again after that, so
-- everything else is. The state is compared as text so that only the place can lead to a job:
-- a plan that was made while the table was small is used long after.
WITH urgent AS (
    SELECT ctid FROM waybill.river_job
    WHERE state = 'available' AND queue = $1 AND priority < 3 AND scheduled_at <= now()
    ORDER BY priority, scheduled_at, id
    LIMIT $2
), packs AS (
    SELECT ctid FROM waybill.river_job
    WHERE state = 'available' AND queue = $1 AND priority >= 3 AND scheduled_at <= now()
    ORDER BY priority, scheduled_at, id
    LIMIT least($5, $2 - (SELECT count(*) FROM urgent))
)
UPDATE waybill.river_job AS j
SET state = 'running',
    attempt = j.attempt + 1,
    attempted_at = now(),
    attempted_by = j.attempted_by[greatest(cardinality(j.attempted_by) - $3::int + 2, 1):] || ARRAY[$4::text]
WHERE j.state::text = 'available' AND j.queue = $1 AND j.scheduled_at <= now()
    AND j.ctid = ANY (ARRAY(SELECT ctid FROM urgent UNION ALL SELECT ctid FROM packs))
RETURNING j.id, j.priority, j.kind, j.attempt, j.max_attempts, j.attempted_at, greatest(j.scheduled_at, 'epoch'), j.metadata,
    coalesce(cardinality(j.errors), 0), coalesce(j.args -> 'bundle_ids', '[]');
