-- What a worker holds that nobody has settled, without the bundles of those whom
-- Amplitude throttles: they wait for Amplitude.
SELECT h.bundle_id
FROM (
    SELECT unnest(r.bundle_ids) AS bundle_id
    FROM waybill.request AS r
    WHERE r.worker = $1
    UNION
    SELECT e.bundle_id::bigint
    FROM waybill.river_job AS j
    CROSS JOIN LATERAL jsonb_array_elements_text(j.args -> 'bundle_ids') AS e (bundle_id)
    WHERE j.state = 'running' AND j.attempted_by[array_upper(j.attempted_by, 1)] = $1
) AS h
JOIN waybill.bundle AS b ON b.id = h.bundle_id
LEFT JOIN waybill.delivery AS d ON d.bundle_id = h.bundle_id
WHERE (d.outcome IS NULL OR d.outcome = 'in_doubt')
    AND NOT EXISTS (
        SELECT FROM waybill.profile AS p
        WHERE p.parked_until > clock_timestamp()
            AND (p.kind, p.id) IN (
                ('user', b.user_id), ('device', b.payload ->> 'device_id'), ('device', 'srv:' || b.user_id)
            )
    );
