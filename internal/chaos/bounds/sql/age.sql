-- Lets time pass: what Waybill remembers is older afterwards. The time of the action
-- itself stays, because a repeated event repeats it.
WITH deliveries AS (
    UPDATE waybill.delivery SET at = at - $1::interval, doubt_since = doubt_since - $1::interval
),
requests AS (
    UPDATE waybill.request SET started_at = started_at - $1::interval
),
workers AS (
    UPDATE waybill.worker SET beat_at = beat_at - $1::interval, started_at = started_at - $1::interval
),
jobs AS (
    UPDATE waybill.river_job
    SET created_at = created_at - $1::interval,
        scheduled_at = scheduled_at - $1::interval,
        attempted_at = attempted_at - $1::interval,
        finalized_at = finalized_at - $1::interval
)
UPDATE waybill.bundle SET enqueued_at = enqueued_at - $1::interval;
