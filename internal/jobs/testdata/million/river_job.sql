-- One a bundle. A few of the completed ones are due to be removed; the others are not yet. Of those that wait one in a
-- hundred is as urgent as a single bundle's, the others as a pack's.
INSERT INTO waybill.river_job
    (id, kind, queue, priority, max_attempts, args, state, attempt, attempted_by, attempted_at, finalized_at, created_at, scheduled_at)
SELECT
    i, 'bundle', 'analytics', CASE WHEN i > 800000 AND i % 100 > 0 THEN 3 ELSE 1 END, 32767, jsonb_build_object('bundle_ids', jsonb_build_array(i)),
    CASE WHEN i <= 800000 THEN 'completed' ELSE 'available' END::waybill.river_job_state,
    CASE WHEN i <= 800000 THEN 1 ELSE 0 END,
    CASE WHEN i <= 800000 THEN ARRAY['before'] END,
    CASE WHEN i <= 800000 THEN k.at END,
    CASE WHEN i <= 800000 THEN k.at END,
    k.at, k.at
FROM generate_series(1, 1000000) AS i
CROSS JOIN LATERAL (
    SELECT now() - interval '1 second' * (CASE WHEN i <= 3000 THEN 9000 - i / 1000 ELSE 2000 - i / 1000 END) AS at
) AS k;
