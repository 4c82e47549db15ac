-- Reservations, and profiles that change without one. A null request_id keeps what is
-- there: a reservation is only ever taken here, never given back. Rows that somebody has
-- changed since they were read are left alone, and all are found as in profiles_seen.sql.
UPDATE waybill.profile AS p
SET traits = n.traits,
    counters = n.counters,
    unsure = string_to_array(n.unsure, E'\x1f'),
    seen = n.seen,
    seen_at = n.seen_at,
    seen_id = n.seen_id,
    request_id = coalesce(n.request_id, p.request_id)
FROM unnest($2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[],
    $11::tid[], $12::xid[], $13::bigint[])
    AS n (kind, id, traits, counters, unsure, seen, seen_at, seen_id, request_id, tid, xid, had_id)
WHERE p.ctid = n.tid AND p.xmin = n.xid AND p.seen_id = n.had_id
    AND (p.dest, p.kind, p.id) IS NOT DISTINCT FROM ($1, n.kind, n.id)
    AND (
        SELECT count(q.seen_id)
        FROM unnest($2::text[], $3::text[]) AS w (kind, id)
        CROSS JOIN LATERAL (
            SELECT r.seen_id FROM waybill.profile AS r
            WHERE r.dest = $1 AND r.kind = w.kind AND r.id = w.id
            OFFSET 0
        ) AS q
    ) > 0;
