-- Jobs whose state and finalized_at disagree, at most $1 of each kind. One index holds both:
-- the jobs that are not available, and whichever have finalized_at.
SELECT
    (
        SELECT least(count(*), $1)
        FROM unnest('{cancelled, completed, discarded}'::waybill.river_job_state[]) AS s (state)
        CROSS JOIN LATERAL (
            SELECT FROM waybill.river_job AS r
            WHERE r.state = s.state AND r.state <> 'available' AND r.finalized_at IS NULL
            LIMIT $1
        ) AS j
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
