-- How many of these profiles stand as this worker knows them, as in profiles_known.sql. It is
-- asked, with the request, of those that it takes something from and changes nothing in, and
-- locks nobody. OFFSET keeps the planner from reading the table instead of its rows' places.
SELECT count(*)
FROM unnest($2::text[], $3::text[], $4::tid[], $5::xid[], $6::bigint[]) AS w (kind, id, tid, xid, seen_id)
CROSS JOIN LATERAL (
    SELECT FROM waybill.profile AS q
    WHERE q.ctid = w.tid AND q.xmin = w.xid
        AND q.dest = $1 AND q.kind = w.kind AND q.id = w.id AND q.seen_id = w.seen_id
    OFFSET 0
) AS p;
