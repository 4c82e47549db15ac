SELECT bundle_id, action_key, event, user_id, occurred_at, enqueued_at, outcome, reason, settled_at, doubt_since,
    job_id, job_state, attempts, next_at, last_error, has_payload, clock_timestamp()
FROM waybill.job_by_key($1::text);
