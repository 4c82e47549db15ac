-- Which of the held jobs still run here.
SELECT id FROM waybill.river_job
WHERE id = ANY ($1::bigint[])
    AND state = 'running'
    AND attempted_by[array_upper(attempted_by, 1)] = $2;
