-- Profiles of identities that nothing was told about for 90 days. The next bundle of
-- theirs says everything again. Counters stay: they cannot be told again from nothing.
-- Rows that hold nothing at all (somebody was only parked) go at once.
WITH due AS (
    SELECT mark FROM waybill.walk
    WHERE name = 'profiles' AND next_at <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
),
page AS MATERIALIZED (
    SELECT p.dest, p.kind, p.id,
        (p.sent_at < clock_timestamp() - interval '90 days'
            OR p.traits = '{}' AND p.unsure = '{}' AND p.parked_until IS NOT NULL)
            AND p.request_id IS NULL
            AND p.counters = '{}'
            AND coalesce(p.parked_until, '-infinity') < clock_timestamp() AS idle
    FROM due
    CROSS JOIN LATERAL (
        SELECT * FROM waybill.profile
        WHERE (dest, kind, id) > (split_part(due.mark, E'\x1f', 1), split_part(due.mark, E'\x1f', 2), split_part(due.mark, E'\x1f', 3))
        ORDER BY dest, kind, id
        LIMIT 2000
    ) AS p
),
gone AS (
    DELETE FROM waybill.profile AS p
    USING page AS g
    WHERE g.idle AND p.dest = g.dest AND p.kind = g.kind AND p.id = g.id AND p.request_id IS NULL
    RETURNING 1
),
moved AS (
    UPDATE waybill.walk
    SET mark = CASE WHEN (SELECT count(*) FROM page) = 2000 THEN (
            SELECT dest || E'\x1f' || kind || E'\x1f' || id FROM page ORDER BY dest DESC, kind DESC, id DESC LIMIT 1
        ) ELSE '' END,
        next_at = clock_timestamp() + CASE WHEN (SELECT count(*) FROM page) = 2000 THEN $1::interval ELSE interval '1 day' END
    FROM due
    WHERE name = 'profiles'
)
SELECT count(*)::int FROM gone;
