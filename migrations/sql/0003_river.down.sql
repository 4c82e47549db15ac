DROP INDEX IF EXISTS waybill.waybill_job_due;
CREATE INDEX IF NOT EXISTS river_job_args_index ON waybill.river_job USING gin (args);
CREATE INDEX IF NOT EXISTS river_job_metadata_index ON waybill.river_job USING gin (metadata);
CREATE INDEX IF NOT EXISTS river_job_kind ON waybill.river_job USING btree (kind);
ALTER FUNCTION waybill.river_job_state_in_bitmask(bit, waybill.river_job_state) RESET ALL;
ALTER TABLE waybill.river_job RESET (
    autovacuum_vacuum_scale_factor,
    autovacuum_vacuum_threshold,
    autovacuum_vacuum_cost_delay,
    autovacuum_vacuum_insert_scale_factor,
    autovacuum_analyze_scale_factor
);
