-- Where everything stands: bundles with an outcome, bundles without one, and whatever
-- else is left to do. A job that a foreign leader discarded is not: its bundle is.
SELECT
    count(*) FILTER (WHERE d.outcome IS NOT NULL AND d.outcome <> 'in_doubt'),
    count(*) FILTER (WHERE d.outcome IS NULL OR d.outcome = 'in_doubt'),
    (SELECT count(*) FROM waybill.request)
        + (SELECT count(*) FROM waybill.river_job WHERE kind = 'bundle' AND state NOT IN ('completed', 'discarded'))
FROM waybill.bundle AS b
LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id;
