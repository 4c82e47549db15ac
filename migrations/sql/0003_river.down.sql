DROP INDEX IF EXISTS waybill.waybill_job_due;
CREATE INDEX IF NOT EXISTS river_job_prioritized_fetching_index ON waybill.river_job
USING btree (state, queue, priority, scheduled_at, id);
CREATE INDEX IF NOT EXISTS river_job_state_and_finalized_at_index ON waybill.river_job
USING btree (state, finalized_at) WHERE finalized_at IS NOT NULL;
DROP INDEX IF EXISTS waybill.waybill_job_available;
DROP INDEX IF EXISTS waybill.waybill_job_state;
CREATE INDEX IF NOT EXISTS river_job_args_index ON waybill.river_job USING gin (args);
CREATE INDEX IF NOT EXISTS river_job_metadata_index ON waybill.river_job USING gin (metadata);
CREATE INDEX IF NOT EXISTS river_job_kind ON waybill.river_job USING btree (kind);
ALTER FUNCTION waybill.river_job_state_in_bitmask(bit, waybill.river_job_state) RESET ALL;
ALTER TABLE waybill.river_job RESET (
    fillfactor,
    autovacuum_vacuum_scale_factor,
    autovacuum_vacuum_threshold,
    autovacuum_vacuum_cost_delay,
    autovacuum_vacuum_insert_scale_factor,
    autovacuum_analyze_scale_factor
);
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
),
ADD CONSTRAINT kind_length CHECK (char_length(kind) > 0 AND char_length(kind) < 128),
ADD CONSTRAINT max_attempts_is_positive CHECK (max_attempts > 0),
ADD CONSTRAINT priority_in_range CHECK (priority >= 1 AND priority <= 4),
ADD CONSTRAINT queue_length CHECK (char_length(queue) > 0 AND char_length(queue) < 128);
