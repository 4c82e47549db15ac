-- How well vacuum keeps up, table by table.
SELECT s.relname::text, s.n_live_tup, s.n_dead_tup,
    pg_table_size(s.relid), pg_indexes_size(s.relid),
    coalesce('autovacuum_enabled=false' = ANY (c.reloptions) OR 'autovacuum_enabled=off' = ANY (c.reloptions), false)
FROM pg_catalog.pg_stat_all_tables AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.relid
WHERE s.schemaname = 'waybill'
ORDER BY s.relname;
