-- Profiles of which only the newest version moves on: nothing else of the row is written,
-- and the log holds little more than these two numbers.
UPDATE waybill.profile AS p
SET seen_at = n.seen_at,
    seen_id = n.seen_id
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS n (kind, id, seen_at, seen_id)
WHERE p.dest = $1 AND p.kind = n.kind AND p.id = n.id;
