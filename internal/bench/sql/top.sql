-- Where Postgres spent its time in this database.
SELECT calls, rows, total_exec_time::float8, mean_exec_time::float8,
    wal_bytes::float8, (shared_blks_hit + shared_blks_read)::bigint,
    left(regexp_replace(query, '\s+', ' ', 'g'), 110)
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY total_exec_time DESC
LIMIT 25;
