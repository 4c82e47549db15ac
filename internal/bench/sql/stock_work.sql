-- The same of stock River, where a job is the whole of it.
SELECT
    count(*),
    count(*) FILTER (WHERE state = 'completed'),
    0,
    coalesce(sum(octet_length(args::text)), 0),
    count(*),
    count(*) FILTER (WHERE state = 'completed'),
    (SELECT count(*) FROM shop_order)
FROM river_job;
