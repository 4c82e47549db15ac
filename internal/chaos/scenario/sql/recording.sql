-- Statements of a program that would settle a request and wait for a lock.
SELECT count(*)
FROM pg_catalog.pg_stat_activity
WHERE application_name = $1 AND wait_event_type = 'Lock' AND query LIKE '%DELETE FROM waybill.request WHERE id%';
