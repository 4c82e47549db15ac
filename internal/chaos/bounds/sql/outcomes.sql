-- These bundles by outcome, "waiting" for those without one.
SELECT coalesce(d.outcome, 'waiting'), count(*), min(coalesce(d.reason, ''))
FROM unnest($1::bigint[]) AS asked (id)
LEFT JOIN waybill.delivery AS d ON d.bundle_id = asked.id
GROUP BY 1;
