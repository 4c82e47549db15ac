-- Reservations, and profiles that change without one. A null request_id keeps what is
-- there: a reservation is only ever taken here, never given back. Rows that somebody has
-- changed since they were read are left alone, as in profiles_seen.sql.
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
WHERE p.dest = $1 AND p.kind = n.kind AND p.id = n.id
    AND p.ctid IS NOT DISTINCT FROM n.tid AND p.xmin = n.xid AND p.seen_id = n.had_id;
