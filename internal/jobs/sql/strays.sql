-- Jobs that this worker has claimed and does not hold: the answer of the fetch was lost on
-- the way, or what River has to write about their end is. A claim that lies in the future is
-- old: the clock has stepped back.
SELECT j.id, j.attempt
FROM waybill.river_job AS j
WHERE j.state = 'running'
    AND j.queue = 'analytics'
    AND j.kind = 'bundle'
    AND j.attempted_by[array_upper(j.attempted_by, 1)] = $1
    AND j.attempted_at NOT BETWEEN clock_timestamp() - interval '15 seconds' AND clock_timestamp() + interval '15 seconds'
    AND j.id <> ALL ($2::bigint[]);
