-- profiles_lock.sql for a flight that holds locks already, and so must not wait.
SELECT p.kind, p.id, p.traits, p.counters, p.unsure, p.seen, p.seen_at, p.seen_id, p.sent_at, coalesce(p.request_id, 0),
    p.ctid, p.xmin
FROM (
    SELECT w.kind, w.id FROM unnest($2::text[], $3::text[]) AS w (kind, id)
    ORDER BY w.kind, w.id
) AS wanted
CROSS JOIN LATERAL (
    SELECT q.*, q.ctid, q.xmin FROM waybill.profile AS q
    WHERE q.dest = $1 AND q.kind = wanted.kind AND q.id = wanted.id
    FOR UPDATE SKIP LOCKED
) AS p;
