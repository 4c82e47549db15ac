-- How long the newest bundles took from being enqueued to being recorded, in ms.
SELECT
    percentile_cont(0.5) WITHIN GROUP (ORDER BY n.lag),
    percentile_cont(0.99) WITHIN GROUP (ORDER BY n.lag)
FROM (
    SELECT 1000 * extract(epoch FROM d.at - b.enqueued_at)::float8 AS lag
    FROM (SELECT id, enqueued_at FROM waybill.bundle ORDER BY id DESC LIMIT 20000) AS b
    JOIN waybill.delivery AS d ON d.bundle_id = b.id
) AS n;
