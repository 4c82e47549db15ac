-- What stands in the schema, one object a row: what the doctor compares with the list
-- it was built with. detail is what must agree for columns and functions, and what
-- would make an index, an option or a constraint anew.
WITH relations AS (
    SELECT c.oid, c.relname, c.relkind, c.reloptions
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = to_regnamespace('waybill')
)
SELECT o.kind, o.name, o.detail
FROM (
    SELECT CASE r.relkind WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind,
        r.relname::text AS name, '' AS detail
    FROM relations AS r
    WHERE r.relkind IN ('r', 'p', 'v', 'S')
    UNION ALL
    SELECT 'column', r.relname || '.' || a.attname,
        pg_catalog.format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
    FROM relations AS r
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE r.relkind IN ('r', 'p', 'v')
    UNION ALL
    SELECT 'option', r.relname || '.' || split_part(o, '=', 1), format('ALTER TABLE waybill.%I SET (%s)', r.relname, o)
    FROM relations AS r
    CROSS JOIN LATERAL unnest(r.reloptions) AS o
    WHERE r.relkind IN ('r', 'p')
    UNION ALL
    SELECT 'index', i.relname, pg_catalog.pg_get_indexdef(i.oid)
    FROM relations AS r
    JOIN pg_catalog.pg_index AS x ON x.indrelid = r.oid
    JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
    -- The names of River's other indexes depend on the road by which it came to them.
    WHERE r.relkind IN ('r', 'p') AND (r.relname NOT LIKE 'river\_%' OR r.relname = 'river_job')
    UNION ALL
    -- Keys have their indexes, and of River's table ours takes the constraints away.
    SELECT 'constraint', r.relname || '.' || k.conname,
        format('ALTER TABLE waybill.%I ADD CONSTRAINT %I %s', r.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid))
    FROM relations AS r
    JOIN pg_catalog.pg_constraint AS k ON k.conrelid = r.oid AND k.contype = 'c'
    WHERE r.relname NOT LIKE 'river\_%'
    UNION ALL
    SELECT 'function', format('%s(%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)),
        CASE WHEN p.prosecdef THEN 'definer ' ELSE '' END || md5(p.prosrc)
    FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = to_regnamespace('waybill')
    UNION ALL
    SELECT 'label', t.typname || '.' || e.enumlabel, ''
    FROM pg_catalog.pg_type AS t
    JOIN pg_catalog.pg_enum AS e ON e.enumtypid = t.oid
    WHERE t.typnamespace = to_regnamespace('waybill')
) AS o
ORDER BY o.kind COLLATE "C", o.name COLLATE "C";
