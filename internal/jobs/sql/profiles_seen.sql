-- Profiles of which only the newest version moves on: nothing else of the row is written,
-- and the log holds little more than these two numbers. It answers where they stand now.
-- One that somebody has changed since it was read, as profiles_known.sql has it, is left
-- alone and not answered.
--
-- All are looked up by key first, though it is known where they stand: a page is tidied up when
-- an index leads to it, and a row that moves within its page needs no new entry in the index.
-- Then they are found by place alone: a comparison that an index can answer would let the plan
-- of an empty table begin with all profiles.
WITH moved AS (
    UPDATE waybill.profile AS p
    SET seen_at = n.seen_at,
        seen_id = n.seen_id
    FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::tid[], $7::xid[], $8::bigint[])
        WITH ORDINALITY AS n (kind, id, seen_at, seen_id, tid, xid, had_id, n)
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
        ) > 0
    RETURNING n.n, p.ctid AS tid
)
SELECT coalesce(array_agg(n), '{}'), coalesce(array_agg(tid), '{}'), pg_current_xact_id()::xid FROM moved;
