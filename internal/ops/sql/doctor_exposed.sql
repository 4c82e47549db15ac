-- Who may read or change what holds payloads and traits, and should not.
SELECT g.grantee, format('%s ON waybill.%I', g.privileges, g.relname)
FROM (
    SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
        c.relname, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) AS privileges
    FROM pg_catalog.pg_class AS c
    CROSS JOIN LATERAL aclexplode(c.relacl) AS a
    WHERE c.relnamespace = to_regnamespace('waybill')
        AND c.relkind IN ('r', 'p', 'v')
        AND (
            a.grantee = 0
            OR pg_get_userbyid(a.grantee) = 'waybill_producer'
            OR pg_get_userbyid(a.grantee) = 'waybill_operator' AND c.relname IN ('bundle', 'profile', 'request', 'river_job')
        )
    GROUP BY 1, 2
) AS g
ORDER BY 1, 2;
