-- Bytes with indexes, live and dead rows of each of our tables.
SELECT relname::text, pg_total_relation_size(relid)::float8, greatest(n_live_tup, 1)::float8, n_dead_tup::float8
FROM pg_stat_user_tables
WHERE schemaname = 'waybill';
