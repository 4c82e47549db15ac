-- From enqueue to recorded delivery, in seconds, of bundles that came after $1 and are
-- not the user's $2: the 99th percentile, and how many are delivered and not.
SELECT
    coalesce(percentile_disc(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM d.at - b.enqueued_at)), 0)::float8,
    count(*) FILTER (WHERE d.outcome = 'delivered'),
    count(*) FILTER (WHERE d.outcome IS DISTINCT FROM 'delivered')
FROM waybill.bundle AS b
LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id
WHERE b.id > $1 AND b.user_id <> $2;
