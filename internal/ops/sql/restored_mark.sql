-- Whatever had no outcome in the backup may have been accepted since it was taken. Within
-- Amplitude's memory it is sent again, and what is older is for a person to decide. Traits
-- that Amplitude was told within a day are told again, because it may hold newer ones.
WITH marked AS (
    INSERT INTO waybill.delivery AS d (bundle_id, outcome, reason, doubt_since)
    SELECT b.id,
        CASE WHEN $1::timestamptz <= clock_timestamp() - interval '6 days' THEN 'uncertain' ELSE 'in_doubt' END,
        'restored from a backup; it may have been delivered since', $1::timestamptz
    FROM waybill.bundle AS b
    LEFT JOIN waybill.delivery AS o ON o.bundle_id = b.id
    WHERE b.job_id IS NOT NULL AND (o.bundle_id IS NULL OR o.outcome = 'in_doubt')
    ORDER BY b.id
    ON CONFLICT (bundle_id) DO UPDATE
    SET outcome = EXCLUDED.outcome, reason = EXCLUDED.reason, doubt_since = EXCLUDED.doubt_since, at = clock_timestamp()
    WHERE d.outcome = 'in_doubt' AND coalesce(d.doubt_since > EXCLUDED.doubt_since, true)
    RETURNING 1
),
told AS (
    UPDATE waybill.profile
    SET sent_at = clock_timestamp() - interval '1 day'
    WHERE sent_at > clock_timestamp() - interval '1 day'
    RETURNING 1
)
SELECT (SELECT count(*) FROM marked), (SELECT count(*) FROM told);
