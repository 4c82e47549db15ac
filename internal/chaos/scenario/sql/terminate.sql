-- Most connections but the referee's own.
SELECT count(pg_terminate_backend(pid))
FROM pg_catalog.pg_stat_activity
WHERE backend_type = 'client backend' AND usename IN ('chaos_app', 'chaos_worker') AND random() < 0.7;
