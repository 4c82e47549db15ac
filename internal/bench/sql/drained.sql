-- Whether everything is done, and when that was seen.
SELECT clock_timestamp(), NOT EXISTS (
    SELECT FROM river_job WHERE state IN ('available', 'pending', 'retryable', 'running', 'scheduled')
);
