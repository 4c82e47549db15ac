-- Of the profiles that this worker knows from before, those that nobody has changed since:
-- the row stands where it stood, and the same transaction wrote it. They are locked where
-- that takes no waiting. Who waits for no lock can hold them in any order, and deadlocks
-- nobody.
SELECT coalesce(array_agg(w.n), '{}')
FROM unnest($2::text[], $3::text[], $4::tid[], $5::xid[], $6::bigint[])
    WITH ORDINALITY AS w (kind, id, tid, xid, seen_id, n)
CROSS JOIN LATERAL (
    SELECT FROM waybill.profile AS q
    WHERE q.ctid = w.tid AND q.xmin = w.xid
        AND q.dest = $1 AND q.kind = w.kind AND q.id = w.id AND q.seen_id = w.seen_id
    FOR UPDATE SKIP LOCKED
) AS p;
