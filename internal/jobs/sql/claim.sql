-- River's JobGetAvailable, of which only that is answered which the worker uses: a row of
-- the jobs table has eighteen columns, and each costs something in writing and in reading.
-- attempted_by grows by an array, not by an element: array_append answers with an array that
-- is stored with a longer header than the next version of the row has, and the log would
-- hold all that stands before it once more. Somebody may have put a job before all others with
-- -infinity, which no time in Go is. The array has each job looked up, where a join may read
-- all of them. Of jobs as urgent as a pack of bundles no more than $5 are taken.
WITH urgent AS (
    SELECT id FROM waybill.river_job
    WHERE state = 'available' AND queue = $1 AND priority < 3 AND scheduled_at <= now()
    ORDER BY priority, scheduled_at, id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), packs AS (
    SELECT id FROM waybill.river_job
    WHERE state = 'available' AND queue = $1 AND priority >= 3 AND scheduled_at <= now()
    ORDER BY priority, scheduled_at, id
    LIMIT least($5, $2 - (SELECT count(*) FROM urgent))
    FOR UPDATE SKIP LOCKED
)
UPDATE waybill.river_job AS j
SET state = 'running',
    attempt = j.attempt + 1,
    attempted_at = now(),
    attempted_by = j.attempted_by[greatest(cardinality(j.attempted_by) - $3::int + 2, 1):] || ARRAY[$4::text]
WHERE j.id = ANY (ARRAY(SELECT id FROM urgent UNION ALL SELECT id FROM packs))
RETURNING j.id, j.priority, j.kind, j.attempt, j.max_attempts, j.attempted_at, greatest(j.scheduled_at, 'epoch'), j.metadata,
    coalesce(cardinality(j.errors), 0), coalesce(j.args -> 'bundle_ids', '[]');
