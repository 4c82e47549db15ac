-- Profiles of which only the newest version moves on: nothing else of the row is written,
-- and the log holds little more than these two numbers. It answers where they stand now.
-- One that somebody has changed since it was read, as profiles_known.sql has it, is left
-- alone and not answered. Found by key, and not by where they stand, which the comparison
-- below keeps the planner from: a page is tidied up when an index leads to it, and a row that
-- moves within its page needs no new entry in it.
WITH moved AS (
    UPDATE waybill.profile AS p
    SET seen_at = n.seen_at,
        seen_id = n.seen_id
    FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::tid[], $7::xid[], $8::bigint[])
        WITH ORDINALITY AS n (kind, id, seen_at, seen_id, tid, xid, had_id, n)
    WHERE p.dest = $1 AND p.kind = n.kind AND p.id = n.id
        AND p.ctid IS NOT DISTINCT FROM n.tid AND p.xmin = n.xid AND p.seen_id = n.had_id
    RETURNING n.n, p.ctid AS tid
)
SELECT coalesce(array_agg(n), '{}'), coalesce(array_agg(tid), '{}'), pg_current_xact_id()::xid FROM moved;
