-- Whatever had no outcome in the backup may have been accepted since it was taken, and
-- Amplitude may have been told newer traits than it knows.
WITH doubted AS (
    INSERT INTO waybill.delivery (bundle_id, outcome, reason, doubt_since)
    SELECT b.id, 'in_doubt', 'restored from a backup; it may have been delivered since', $1::timestamptz
    FROM waybill.bundle AS b
    WHERE b.job_id IS NOT NULL
    ON CONFLICT (bundle_id) DO NOTHING
)
UPDATE waybill.profile SET sent_at = sent_at - interval '1 day';
