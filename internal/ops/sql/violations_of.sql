SELECT property, rule, mode, reason, plan, at
FROM waybill.violation
WHERE bundle_id = $1
ORDER BY property, rule;
