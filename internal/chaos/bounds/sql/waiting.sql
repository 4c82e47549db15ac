-- Bundles up to $1 that have no outcome, and when the last of the others got its.
SELECT
    count(*) FILTER (WHERE d.outcome IS NULL OR d.outcome = 'in_doubt'),
    coalesce(max(d.at), 'epoch')
FROM waybill.bundle AS b
LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id
WHERE b.id <= $1;
