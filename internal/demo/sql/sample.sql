-- Where everything stands. A bundle waits until it has an outcome; `in_doubt` is none.
-- Its request and its River job may end a moment later.
SELECT
    count(*) FILTER (WHERE b.event = 'order_completed') AS orders,
    count(*) FILTER (WHERE d.outcome IS NOT NULL AND d.outcome <> 'in_doubt') AS settled,
    count(*) FILTER (WHERE d.outcome IS NULL OR d.outcome = 'in_doubt') AS waiting,
    coalesce(extract(epoch FROM clock_timestamp() - min(b.enqueued_at)
        FILTER (WHERE d.outcome IS NULL OR d.outcome = 'in_doubt')), 0)::float8 AS oldest_seconds,
    (SELECT count(*) FROM waybill.request)
        + (SELECT count(*) FROM waybill.river_job WHERE kind = 'bundle' AND state <> 'completed') AS unfinished
FROM waybill.bundle AS b
LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id;
