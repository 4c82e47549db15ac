-- Bundles that are rejected although nothing is wrong with them.
SELECT b.action_key
FROM waybill.delivery AS d
JOIN waybill.bundle AS b ON b.id = d.bundle_id
JOIN chaos.action AS a ON a.key = b.action_key
WHERE d.outcome = 'rejected' AND a.spec ->> 'poison' IS NULL
ORDER BY b.id;
