SELECT outcome, coalesce(reason, ''), at, replaced_at, replaced_by, replaced_how
FROM waybill.delivery_log
WHERE bundle_id = $1::bigint
ORDER BY id DESC
LIMIT 20;
