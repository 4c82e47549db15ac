SELECT coalesce(bool_or(pg_has_role(r.oid, 'USAGE')), false)
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = 'pg_read_all_stats';
