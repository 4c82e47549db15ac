-- Reservations and versions that move on. A null request_id keeps what is there: a
-- reservation is only ever taken here, never given back.
UPDATE waybill.profile AS p
SET traits = n.traits,
    counters = n.counters,
    unsure = string_to_array(n.unsure, E'\x1f'),
    request_id = coalesce(n.request_id, p.request_id)
FROM unnest($2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::text[], $7::bigint[])
    AS n (kind, id, traits, counters, unsure, request_id)
WHERE p.dest = $1 AND p.kind = n.kind AND p.id = n.id;
