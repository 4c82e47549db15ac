-- What a worker needs and the current role may not.
SELECT m.missing
FROM (
    SELECT 1 AS place, 'USAGE on schema waybill' AS missing
    WHERE NOT has_schema_privilege('waybill', 'USAGE')
    UNION ALL
    SELECT 2, format('%s on %s', p.privilege, c.relname)
    FROM pg_catalog.pg_class AS c
    CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (privilege)
    WHERE c.relnamespace = to_regnamespace('waybill')
        AND (c.relkind IN ('r', 'p') OR c.relkind = 'v' AND p.privilege = 'SELECT')
        AND NOT has_table_privilege(c.oid, p.privilege)
    UNION ALL
    SELECT 3, format('USAGE on %s', c.relname)
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = to_regnamespace('waybill')
        -- CASE, because the function raises for what is no sequence.
        AND CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(c.oid, 'USAGE') ELSE false END
    UNION ALL
    SELECT 4, format('EXECUTE on %s', p.proname)
    FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = to_regnamespace('waybill') AND NOT has_function_privilege(p.oid, 'EXECUTE')
) AS m
ORDER BY m.place, m.missing;
