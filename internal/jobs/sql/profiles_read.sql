-- The profiles of a flight, after they were locked. `live`: a request under way may be
-- changing these traits. `doubtful`: a request that was cut off may have changed them,
-- and its bundles are about to be sent again; they go first, for a minute at most.
SELECT p.kind, p.id, p.traits, p.counters, p.unsure, p.sent_at, coalesce(p.request_id, 0),
    r.id IS NOT NULL AS live,
    p.request_id IS NOT NULL AND r.id IS NULL AND EXISTS (
        SELECT FROM waybill.delivery AS d
        WHERE d.request_id = p.request_id
            AND d.outcome = 'in_doubt'
            AND d.at > clock_timestamp() - interval '1 minute'
    ) AS doubtful
FROM waybill.profile AS p
JOIN unnest($2::text[], $3::text[]) AS wanted (kind, id) ON wanted.kind = p.kind AND wanted.id = p.id
LEFT JOIN waybill.request AS r ON r.id = p.request_id
WHERE p.dest = $1;
