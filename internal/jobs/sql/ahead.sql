-- Jobs that are available and that the database's clock cannot claim yet: River puts them
-- there by the worker's clock, which may be ahead, and the database's may have stepped back.
-- Those of a moment ahead are left alone.
WITH ahead AS (
    SELECT id FROM waybill.river_job
    WHERE state = 'available' AND queue = 'analytics' AND priority IN (1, 2, 3, 4)
        AND scheduled_at > now() + interval '10 seconds'
    LIMIT 5000
    FOR UPDATE SKIP LOCKED
)
UPDATE waybill.river_job AS j
SET scheduled_at = now()
FROM ahead
WHERE j.id = ahead.id;
