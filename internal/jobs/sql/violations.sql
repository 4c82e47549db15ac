-- How bundles break the tracking plan. One that is looked at again has the newest word.
INSERT INTO waybill.violation AS v (bundle_id, property, rule, event, version, reason, mode, plan)
SELECT n.bundle_id, n.property, n.rule, n.event, n.version, n.reason, n.mode, $8
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    AS n (bundle_id, property, rule, event, version, reason, mode)
ORDER BY n.bundle_id, n.property, n.rule
ON CONFLICT (bundle_id, property, rule) DO UPDATE
SET event = EXCLUDED.event, version = EXCLUDED.version, reason = EXCLUDED.reason, mode = EXCLUDED.mode,
    plan = EXCLUDED.plan, at = clock_timestamp();
