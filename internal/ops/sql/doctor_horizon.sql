-- What keeps vacuum from removing dead rows anywhere in this database: whoever still
-- holds an old snapshot. `seconds` is null where only the age in transactions is known.
SELECT h.kind, h.name, h.seconds, h.transactions, h.active
FROM (
    SELECT 'transaction' AS kind, a.pid::text AS name,
        extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds,
        age(coalesce(a.backend_xmin, a.backend_xid)) AS transactions, a.state <> 'idle in transaction' AS active
    FROM pg_catalog.pg_stat_activity AS a
    WHERE a.datname = current_database()
        AND coalesce(a.backend_xmin, a.backend_xid) IS NOT NULL
        AND a.pid <> pg_backend_pid()
        AND a.backend_type = 'client backend'
    UNION ALL
    SELECT 'prepared', p.gid, extract(epoch FROM clock_timestamp() - p.prepared)::float8, age(p.transaction), false
    FROM pg_catalog.pg_prepared_xacts AS p
    WHERE p.database = current_database()
    UNION ALL
    SELECT 'slot', s.slot_name::text, NULL, age(s.xmin), s.active
    FROM pg_catalog.pg_replication_slots AS s
    WHERE s.xmin IS NOT NULL
    UNION ALL
    SELECT 'standby', coalesce(nullif(r.application_name, ''), host(r.client_addr), 'unnamed'), NULL, age(r.backend_xmin), true
    FROM pg_catalog.pg_stat_replication AS r
    WHERE r.backend_xmin IS NOT NULL
) AS h
ORDER BY h.transactions DESC, h.seconds DESC NULLS LAST
LIMIT 100;
