-- Bundles without an end.
SELECT b.id
FROM waybill.bundle AS b
LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id
WHERE d.outcome IS NULL OR d.outcome = 'in_doubt'
ORDER BY b.id;
