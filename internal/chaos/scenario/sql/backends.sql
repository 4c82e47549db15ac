-- The connections that the server keeps for a program that is gone. It does not notice
-- that while a statement waits for a lock; such a one is ended.
WITH kept AS (
    SELECT CASE WHEN wait_event_type = 'Lock' THEN pg_terminate_backend(pid) END
    FROM pg_catalog.pg_stat_activity
    WHERE application_name = $1
)
SELECT count(*) FROM kept;
