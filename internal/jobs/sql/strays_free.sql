-- Gives back jobs of strays.sql that are still as they were found. Nobody else frees them,
-- because this worker lives. One whose bundles are settled comes back this way too; Prepare
-- then finds their outcomes.
UPDATE waybill.river_job AS j
SET state = 'available', attempt = greatest(j.attempt - 1, 0)
FROM unnest($2::bigint[], $3::int[]) AS n (id, attempt)
WHERE j.id = n.id
    AND j.attempt = n.attempt
    AND j.state = 'running'
    AND j.attempted_by[array_upper(j.attempted_by, 1)] = $1;
