-- How River's tables are tuned for this one use.

-- No statement that River runs on its own uses these two; every insert, fetch and
-- completion pays for them.
DROP INDEX IF EXISTS waybill.river_job_args_index;
DROP INDEX IF EXISTS waybill.river_job_metadata_index;

-- One value for every job.
DROP INDEX IF EXISTS waybill.river_job_kind;

-- Every state of a job is a new version of its row, which gets an entry in each index
-- whose predicate it meets. River's two say the state of all jobs and the end of the ended
-- ones: four entries in a job's life. These two say what can be fetched and everything
-- else: three, two of them small, and whoever looks for jobs in a state finds them in one
-- or the other.
CREATE INDEX IF NOT EXISTS waybill_job_available ON waybill.river_job (queue, priority, scheduled_at, id)
WHERE state = 'available';
CREATE INDEX IF NOT EXISTS waybill_job_state ON waybill.river_job (state, finalized_at)
WHERE state <> 'available' OR finalized_at IS NOT NULL;
DROP INDEX IF EXISTS waybill.river_job_prioritized_fetching_index;
DROP INDEX IF EXISTS waybill.river_job_state_and_finalized_at_index;

-- River's five CHECK constraints guard against programs that write jobs by themselves.
-- Here two do, River and waybill.enqueue, and neither can break them; but every statement
-- that writes a job would read them from their text and compile them anew, which costs
-- more than the job. River's own steps may name them, so they are back while those run:
-- see before_river.sql.
ALTER TABLE waybill.river_job
DROP CONSTRAINT IF EXISTS finalized_or_finalized_at_null,
DROP CONSTRAINT IF EXISTS kind_length,
DROP CONSTRAINT IF EXISTS max_attempts_is_positive,
DROP CONSTRAINT IF EXISTS priority_in_range,
DROP CONSTRAINT IF EXISTS queue_length;

-- The predicate of River's unique index calls this function. As it comes, it is parsed
-- and inlined again for every statement that inserts a job; with a setting of its own it
-- is not, and for jobs without a unique key, which all of ours are, it is never called.
ALTER FUNCTION waybill.river_job_state_in_bitmask(bit, waybill.river_job_state)
SET search_path = pg_catalog, waybill;

-- River's scheduler looks for due jobs every 5 s and would otherwise read every
-- job that is scheduled or retryable.
CREATE INDEX IF NOT EXISTS waybill_job_due ON waybill.river_job (scheduled_at)
WHERE state IN ('retryable', 'scheduled');

-- A version that stays on the page of the one before is logged without what both begin and end
-- with. A claim changes what stands from state to attempted_by, and River's table has the arguments,
-- which are most of a job, in between: they go last. Not where there are jobs already, whom it
-- would cost a copy of the table.
DO $$
BEGIN
    LOCK TABLE waybill.river_job;
    IF NOT EXISTS (SELECT FROM waybill.river_job) AND EXISTS (
        SELECT FROM pg_attribute AS args
        JOIN pg_attribute AS claimed USING (attrelid)
        WHERE args.attrelid = 'waybill.river_job'::regclass
            AND args.attname = 'args' AND claimed.attname = 'attempted_by' AND args.attnum < claimed.attnum
    ) THEN
        ALTER TABLE waybill.river_job DROP COLUMN args;
        ALTER TABLE waybill.river_job ADD COLUMN args jsonb NOT NULL;
    END IF;
EXCEPTION WHEN dependent_objects_still_exist THEN
    NULL; -- a view of somebody's shows it
END
$$;

-- A job dies three times (fetched, completed, cleaned) within minutes; vacuum has
-- to keep up with that, not with a fifth of the table. Each page keeps room for its jobs
-- as they are when fetched and when completed: a version that stays on its page is logged
-- as what differs from the one before, one that moves as all of it and a lock more. The
-- table is as large from the beginning as it would become.
ALTER TABLE waybill.river_job SET (
    fillfactor = 40,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);
ALTER TABLE waybill.profile SET (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE waybill.request SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE waybill.worker SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 200,
    autovacuum_vacuum_cost_delay = 0
);
