-- Jobs that wait and whose last attempt lies in the future: the database's clock has stepped
-- back since, and what they wait for was reckoned by the clock as it was then. They are due;
-- Prepare puts off again what must wait, and their attempt is then not in the future any
-- more.
WITH misled AS (
    SELECT id FROM waybill.river_job
    WHERE state IN ('retryable', 'scheduled')
        AND scheduled_at > now() + interval '10 seconds'
        AND attempted_at > now() + interval '10 seconds'
        AND queue = 'analytics' AND kind = 'bundle'
    ORDER BY scheduled_at DESC
    LIMIT 5000
    FOR UPDATE SKIP LOCKED
)
UPDATE waybill.river_job AS j
SET state = 'available', scheduled_at = now()
FROM misled
WHERE j.id = misled.id;
