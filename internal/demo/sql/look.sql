-- A frozen worker, by the database: whether statements of its connections are still
-- running, how many bundles its requests under way hold, and the moment. While a
-- statement runs it may be the one that records a request.
SELECT
    EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE application_name = $2 AND state = 'active') AS busy,
    (SELECT coalesce(sum(cardinality(bundle_ids)), 0) FROM waybill.request WHERE worker = $1) AS holding,
    clock_timestamp() AS at;
