-- How far the bundles of a dead worker have come, and how long the last one took.
SELECT
    count(*) FILTER (WHERE d.outcome = 'delivered') AS delivered,
    coalesce(extract(epoch FROM max(d.at) FILTER (WHERE d.outcome = 'delivered') - $2), 0)::float8 AS seconds
FROM unnest($1::bigint[]) AS held (bundle_id)
LEFT JOIN waybill.delivery AS d ON d.bundle_id = held.bundle_id;
