SELECT EXISTS (
    SELECT FROM waybill.river_job
    WHERE queue = 'analytics' AND state = 'available' AND scheduled_at <= clock_timestamp()
) OR EXISTS (
    SELECT FROM waybill.river_job
    WHERE queue = 'analytics' AND state = 'running' AND attempted_by[array_upper(attempted_by, 1)] = $1
);
