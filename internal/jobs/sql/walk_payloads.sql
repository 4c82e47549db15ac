-- Payloads of what was delivered are kept for 30 days. Undelivered ones stay until
-- somebody decides. A round ends where bundles are younger, and begins again every day,
-- for those that were decided late.
WITH due AS (
    SELECT position FROM waybill.walk
    WHERE name = 'payloads' AND next_at <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
),
page AS MATERIALIZED (
    SELECT b.id, b.payload IS NOT NULL AS full, b.enqueued_at < now() - interval '30 days' AS old
    FROM due
    CROSS JOIN LATERAL (
        SELECT id, payload, enqueued_at FROM waybill.bundle
        WHERE id > due.position
        ORDER BY id
        LIMIT 2000
    ) AS b
),
emptied AS (
    UPDATE waybill.bundle AS b
    SET payload = NULL
    FROM page AS p
    JOIN waybill.delivery AS d ON d.bundle_id = p.id
    WHERE b.id = p.id AND p.full AND p.old AND d.outcome = 'delivered' AND d.at < clock_timestamp() - interval '30 days'
    RETURNING 1
),
moved AS (
    UPDATE waybill.walk
    SET position = CASE WHEN (SELECT count(*) FROM page WHERE old) = 2000 THEN (SELECT max(id) FROM page) ELSE 0 END,
        next_at = clock_timestamp() + CASE WHEN (SELECT count(*) FROM page WHERE old) = 2000 THEN $1::interval / 30 ELSE interval '1 day' END
    FROM due
    WHERE name = 'payloads'
)
SELECT count(*)::int FROM emptied;
