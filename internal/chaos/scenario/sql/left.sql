-- What is left to do, and who lives, in one line for a person.
SELECT concat_ws('; ',
    (SELECT string_agg(n || ' jobs ' || state || coalesce(' by ' || worker, '') || ' since ' || since::text, ', ')
     FROM (
         SELECT state, attempted_by[array_upper(attempted_by, 1)] AS worker, count(*) AS n,
             date_trunc('second', clock_timestamp() - min(coalesce(attempted_at, created_at))) AS since
         FROM waybill.river_job
         WHERE state <> 'completed'
         GROUP BY 1, 2
     ) AS j),
    (SELECT string_agg('request ' || id || ' of ' || worker || ' with ' || cardinality(bundle_ids), ', ') FROM waybill.request),
    (SELECT 'workers ' || string_agg(id, ', ') FROM waybill.worker),
    (SELECT 'outcomes ' || string_agg(n || ' ' || outcome, ', ') FROM (
        SELECT coalesce(d.outcome, 'none') AS outcome, count(*) AS n
        FROM waybill.bundle AS b LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id GROUP BY 1
    ) AS o)
);
