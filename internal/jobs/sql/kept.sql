-- Of some bundles that had no outcome and no doubt when they were read: those to be read anew,
-- because they have one now, or because somebody has erased them.
SELECT w.id
FROM unnest($1::bigint[]) AS w (id)
LEFT JOIN LATERAL (
    SELECT b.payload IS NOT NULL AS is_there FROM waybill.bundle AS b
    WHERE b.id = w.id
    OFFSET 0
) AS b ON true
LEFT JOIN LATERAL (
    SELECT d.bundle_id FROM waybill.delivery AS d
    WHERE d.bundle_id = w.id
    OFFSET 0
) AS d ON true
WHERE d.bundle_id IS NOT NULL OR b.is_there IS NOT TRUE;
