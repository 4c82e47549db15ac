-- Jobs that are not finished, up to as many as matter.
SELECT count(*)
FROM (
    SELECT FROM river_job WHERE state IN ('available', 'running', 'retryable', 'scheduled', 'pending') LIMIT $1
) AS j;
