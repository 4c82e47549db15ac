-- Test databases, by prefix $1, that are ours to drop, that nobody is connected
-- to and that were not kept for a person to look at.
SELECT datname
FROM pg_database
WHERE
    starts_with(datname, $1)
    AND pg_has_role(datdba, 'USAGE')
    AND shobj_description(oid, 'pg_database') IS DISTINCT FROM 'kept'
    AND NOT EXISTS (
        SELECT FROM pg_stat_activity WHERE datid = pg_database.oid
    );
