-- Rows written in schema waybill, those of them that are reservations, and bytes of WAL,
-- since the server started.
SELECT
    coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint,
    coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del) FILTER (WHERE relname = 'profile'), 0)::bigint,
    pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint
FROM pg_catalog.pg_stat_user_tables
WHERE schemaname = 'waybill';
