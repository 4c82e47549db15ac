-- Profiles of users and groups that have none yet, as a request leaves them. Whoever is not
-- answered for was made by somebody else meanwhile: an insert that failed for it would
-- leave the id of a user in Postgres's log.
INSERT INTO waybill.profile (dest, kind, id, traits, counters, unsure, seen, seen_at, seen_id, request_id)
SELECT $1, n.kind, n.id, n.traits, n.counters, string_to_array(n.unsure, E'\x1f'), n.seen, n.seen_at, n.seen_id, n.request_id
FROM unnest($2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[])
    AS n (kind, id, traits, counters, unsure, seen, seen_at, seen_id, request_id)
ORDER BY n.kind, n.id
ON CONFLICT (dest, kind, id) DO NOTHING;
