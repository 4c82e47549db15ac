-- What Waybill recorded, and what became of it.
SELECT b.action_key, coalesce(d.outcome, 'waiting') AS outcome
FROM waybill.bundle AS b
LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id;
