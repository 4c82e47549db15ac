-- The profiles of a flight, locked one by one in one order, so that two flights cannot
-- deadlock each other. A row that was waited for comes as it is then; a table that is
-- joined would come as it was when the statement began, and a reservation that was just
-- taken would look like one whose request is gone. So requests are asked after by a
-- statement of their own.
SELECT p.kind, p.id, p.traits, p.counters, p.unsure, p.seen, p.seen_at, p.seen_id, p.sent_at, coalesce(p.request_id, 0),
    p.ctid, p.xmin
FROM (
    SELECT w.kind, w.id FROM unnest($2::text[], $3::text[]) AS w (kind, id)
    ORDER BY w.kind, w.id
) AS wanted
CROSS JOIN LATERAL (
    SELECT q.*, q.ctid, q.xmin FROM waybill.profile AS q
    WHERE q.dest = $1 AND q.kind = wanted.kind AND q.id = wanted.id
    FOR UPDATE
) AS p;
