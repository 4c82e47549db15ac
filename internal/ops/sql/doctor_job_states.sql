-- Jobs whose state and finalized_at disagree, at most $1 of each kind. Ended ones without
-- the time of their end are looked for among the oldest $1 of each state and priority,
-- since the others are removed within the hour; the rest stand in an index of their own.
SELECT
    (
        SELECT least(count(*), $1)
        FROM unnest('{cancelled, completed, discarded}'::waybill.river_job_state[]) AS s (state)
        CROSS JOIN generate_series(1, 4) AS p (priority)
        CROSS JOIN LATERAL (
            SELECT r.finalized_at FROM waybill.river_job AS r
            WHERE r.state = s.state AND r.queue = 'analytics' AND r.priority = p.priority
            ORDER BY r.scheduled_at
            LIMIT $1
        ) AS j
        WHERE j.finalized_at IS NULL
    ),
    (
        SELECT least(count(*), $1)
        FROM unnest('{available, pending, retryable, running, scheduled}'::waybill.river_job_state[]) AS s (state)
        CROSS JOIN LATERAL (
            SELECT FROM waybill.river_job AS r
            WHERE r.state = s.state AND r.finalized_at IS NOT NULL
            LIMIT $1
        ) AS j
    );
