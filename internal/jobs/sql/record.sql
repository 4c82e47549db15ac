-- Everything that a settled request means, in one statement and only if the request is
-- still ours: a worker that slept and was declared dead finds no row and changes
-- nothing. It answers whether it was, and where the profiles stand now.
WITH mine AS (
    DELETE FROM waybill.request WHERE id = $1 AND worker = $2 RETURNING id
),
given AS (
    SELECT n.*, mine.id AS request_id
    FROM unnest($3::bigint[], $4::text[], $5::text[], $6::int[], $7::timestamptz[], $23::boolean[])
        AS n (bundle_id, outcome, reason, attempt, doubt_since, had_one), mine
),
-- Nearly all bundles come to their first outcome, and an insert that expects no conflict
-- reads the index once instead of twice. If another worker has recorded one meanwhile, this fails as
-- a whole, and the worker asks again with had_one for all.
first AS (
    INSERT INTO waybill.delivery (bundle_id, outcome, reason, attempt, request_id, doubt_since)
    SELECT bundle_id, outcome, reason, attempt, request_id, doubt_since FROM given
    WHERE NOT had_one
),
outcomes AS (
    INSERT INTO waybill.delivery AS d (bundle_id, outcome, reason, attempt, request_id, doubt_since)
    SELECT bundle_id, outcome, reason, attempt, request_id, doubt_since FROM given
    WHERE had_one
    ON CONFLICT (bundle_id) DO UPDATE
    SET outcome = EXCLUDED.outcome,
        reason = EXCLUDED.reason,
        attempt = EXCLUDED.attempt,
        request_id = EXCLUDED.request_id,
        at = clock_timestamp(),
        doubt_since = CASE WHEN EXCLUDED.outcome IN ('in_doubt', 'uncertain')
            THEN least(d.doubt_since, EXCLUDED.doubt_since) END
    WHERE d.outcome <> 'delivered'
),
-- In the order in which flights lock them.
reserved AS (
    SELECT n.*, p.tid
    FROM (
        SELECT w.*
        FROM unnest(
            $9::text[], $10::text[], $11::jsonb[], $12::jsonb[], $13::text[], $14::timestamptz[], $15::boolean[],
            $19::text[], $20::bigint[], $21::bigint[]
        ) WITH ORDINALITY AS w (kind, id, traits, counters, unsure, sent_at, keep, seen, seen_at, seen_id, n), mine
        ORDER BY w.kind, w.id
    ) AS n
    CROSS JOIN LATERAL (
        SELECT q.ctid AS tid FROM waybill.profile AS q
        WHERE q.dest = $8 AND q.kind = n.kind AND q.id = n.id AND q.request_id = $1
        OFFSET 0
    ) AS p
),
profiles AS (
    UPDATE waybill.profile AS p
    SET traits = r.traits,
        counters = r.counters,
        unsure = string_to_array(r.unsure, E'\x1f'),
        seen = r.seen,
        seen_at = r.seen_at,
        seen_id = r.seen_id,
        sent_at = coalesce(r.sent_at, p.sent_at),
        parked_until = greatest(p.parked_until, (
            SELECT n.until
            FROM unnest($16::text[], $17::text[], $18::timestamptz[]) AS n (kind, id, until)
            WHERE n.kind = p.kind AND n.id = p.id
        )),
        request_id = CASE WHEN r.keep THEN p.request_id END
    FROM reserved AS r
    WHERE p.ctid = r.tid AND p.request_id = $1
    RETURNING r.n, p.ctid AS tid
),
parked AS (
    INSERT INTO waybill.profile AS p (dest, kind, id, parked_until)
    SELECT $8, n.kind, n.id, n.until
    FROM unnest($16::text[], $17::text[], $18::timestamptz[]) AS n (kind, id, until), mine
    WHERE NOT EXISTS (SELECT FROM reserved AS r WHERE r.kind = n.kind AND r.id = n.id)
    ORDER BY n.kind, n.id
    ON CONFLICT (dest, kind, id) DO UPDATE
    SET parked_until = greatest(p.parked_until, EXCLUDED.parked_until)
),
-- Jobs of which every bundle has an outcome now, whatever has become of them meanwhile: one
-- that was taken for lost has nothing left to do either. River would do the same a moment
-- later, in a statement that costs as much as all of this.
completed AS (
    UPDATE waybill.river_job AS j
    SET state = 'completed', finalized_at = clock_timestamp()
    FROM mine
    WHERE j.id = ANY ($22::bigint[]) AND j.state IN ('running', 'available', 'scheduled', 'retryable')
)
-- A profile that somebody changes between this statement's snapshot and its update has moved from
-- where it is looked for. Then nothing of this may stand: a division by zero ends it all, and
-- the worker asks again, after record_lock.sql.
SELECT (SELECT count(*) FROM mine) / (count(*) = (SELECT count(*) FROM reserved))::int,
    coalesce(array_agg(n), '{}'), coalesce(array_agg(tid), '{}'), pg_current_xact_id()::xid
FROM profiles;
