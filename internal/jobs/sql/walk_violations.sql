-- What broke the tracking plan is remembered for 90 days.
WITH due AS (
    SELECT 1 FROM waybill.walk
    WHERE name = 'violations' AND next_at <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM waybill.violation
    WHERE ctid = ANY (ARRAY(
        SELECT o.ctid
        FROM due
        CROSS JOIN LATERAL (
            SELECT v.ctid FROM waybill.violation AS v
            WHERE v.at < clock_timestamp() - interval '90 days'
            ORDER BY v.at
            LIMIT 5000
        ) AS o
    ))
        -- asked again of a row that was just written anew
        AND at < clock_timestamp() - interval '90 days'
    RETURNING 1
),
moved AS (
    UPDATE waybill.walk
    SET next_at = clock_timestamp() + CASE WHEN (SELECT count(*) FROM gone) = 5000 THEN interval '1 second' ELSE $1::interval END
    FROM due
    WHERE name = 'violations'
)
SELECT count(*)::int FROM gone;
