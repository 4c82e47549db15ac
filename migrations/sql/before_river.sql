-- What River's steps have to find as River left it, put back before they run. All of it
-- in one transaction with this, which has our steps applied again, whoever comes to it.
UPDATE waybill.migration SET river_version = NULL;

-- No column may be altered that a view shows.
DROP VIEW IF EXISTS waybill.job;

-- NOT VALID, because a look at every job of a large queue takes long and shows nothing:
-- step 3 takes them away again, right after.
DO $$
BEGIN
    IF to_regclass('waybill.river_job') IS NOT NULL THEN
        ALTER TABLE waybill.river_job
        DROP CONSTRAINT IF EXISTS finalized_or_finalized_at_null,
        DROP CONSTRAINT IF EXISTS kind_length,
        DROP CONSTRAINT IF EXISTS max_attempts_is_positive,
        DROP CONSTRAINT IF EXISTS priority_in_range,
        DROP CONSTRAINT IF EXISTS queue_length;
        ALTER TABLE waybill.river_job
        ADD CONSTRAINT finalized_or_finalized_at_null CHECK (
            (finalized_at IS NULL AND state NOT IN ('cancelled', 'completed', 'discarded'))
            OR (finalized_at IS NOT NULL AND state IN ('cancelled', 'completed', 'discarded'))
        ) NOT VALID,
        ADD CONSTRAINT kind_length CHECK (char_length(kind) > 0 AND char_length(kind) < 128) NOT VALID,
        ADD CONSTRAINT max_attempts_is_positive CHECK (max_attempts > 0) NOT VALID,
        ADD CONSTRAINT priority_in_range CHECK (priority >= 1 AND priority <= 4) NOT VALID,
        ADD CONSTRAINT queue_length CHECK (char_length(queue) > 0 AND char_length(queue) < 128) NOT VALID;
    END IF;
END
$$;
