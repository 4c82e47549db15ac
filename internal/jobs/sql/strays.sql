-- Jobs that River claimed for this worker without the worker learning of it: the answer of
-- the fetch was lost on the way. Nobody else frees them, because this worker lives. A job
-- whose completion River has not written yet may come back this way too; Prepare then
-- finds its outcome. A claim that lies in the future is old: the clock has stepped back.
UPDATE waybill.river_job AS j
SET state = 'available', attempt = greatest(j.attempt - 1, 0)
WHERE j.state = 'running'
    AND j.queue = 'analytics'
    AND j.kind = 'bundle'
    AND j.attempted_by[array_upper(j.attempted_by, 1)] = $1
    AND j.attempted_at NOT BETWEEN clock_timestamp() - interval '15 seconds' AND clock_timestamp() + interval '15 seconds'
    AND j.id <> ALL ($2::bigint[]);
