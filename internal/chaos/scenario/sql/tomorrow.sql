-- River wakes what was put off by the workers' clocks, which stay where they are: the
-- day is over for its rows too.
UPDATE waybill.river_job SET scheduled_at = 'epoch' WHERE state = 'scheduled';
