-- Nobody has to wait any more.
WITH parks AS (
    UPDATE waybill.profile SET parked_until = NULL WHERE parked_until IS NOT NULL
)
UPDATE waybill.river_job SET state = 'available', scheduled_at = clock_timestamp() WHERE state = 'scheduled';
