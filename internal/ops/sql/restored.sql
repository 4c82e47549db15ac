-- What a restored database cannot know: bundles without an outcome that Amplitude may have
-- taken since $1, and the users and groups whose traits may have been told anew. Also the
-- workers that run already.
SELECT
    (SELECT count(*) FROM waybill.worker WHERE beat_at > clock_timestamp() - interval '10 seconds'),
    o.bundles, o.oldest,
    $1::timestamptz <= clock_timestamp() - interval '6 days',
    (SELECT count(*) FROM waybill.profile WHERE sent_at > clock_timestamp() - interval '1 day')
FROM (
    SELECT count(*) AS bundles, min(b.enqueued_at) AS oldest
    FROM waybill.bundle AS b
    LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id
    WHERE b.job_id IS NOT NULL
        AND (d.bundle_id IS NULL OR d.outcome = 'in_doubt' AND coalesce(d.doubt_since > $1, true))
) AS o;
