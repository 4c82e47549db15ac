-- Indexes that are invalid, and River's GIN indexes where they have come back.
SELECT i.relname::text, x.indisvalid, m.amname = 'gin' AND t.relname = 'river_job'
FROM pg_catalog.pg_index AS x
JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
JOIN pg_catalog.pg_class AS t ON t.oid = x.indrelid
JOIN pg_catalog.pg_am AS m ON m.oid = i.relam
WHERE t.relnamespace = to_regnamespace('waybill')
    AND (NOT x.indisvalid OR m.amname = 'gin' AND t.relname = 'river_job')
ORDER BY i.relname;
