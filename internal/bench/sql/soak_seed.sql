-- $1 completed jobs that fall due for removal, evenly, within the next $2 seconds. They are
-- as long as those that replace them, or the table would grow by the difference.
INSERT INTO waybill.river_job (
    kind, queue, priority, max_attempts, args, state, attempt, attempted_by, attempted_at, created_at, scheduled_at, finalized_at
)
SELECT 'bundle', 'analytics', 1, 32767,
    jsonb_build_object(
        'bundle_ids', jsonb_build_array(i), 'action_key', format('order:soak:%s:completed', lpad(i::text, 8, '0')),
        'event', 'Order_Completed', 'user_id', 'usr_' || lpad((i % 10000)::text, 8, '0')
    ),
    'completed', 1, ARRAY['w-ABCDEFGHIJKLMNOP'], at, at, at, at
FROM generate_series(1, $1::int) AS i
CROSS JOIN LATERAL (
    SELECT now() - interval '1 hour' + make_interval(secs => $2::float8 * i / $1::int) AS at
) AS t;
