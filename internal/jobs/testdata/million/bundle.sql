-- Bundles 1 to 800,000 are delivered, half of them long ago; the rest waits, and belongs to
-- a hundred accounts.
INSERT INTO waybill.bundle (id, key_hash, action_key, event, user_id, payload, occurred_at, enqueued_at, job_id)
OVERRIDING SYSTEM VALUE
SELECT
    i, sha256(k.key::bytea), k.key, 'Bought', k.who,
    CASE WHEN i <= 800000 THEN '{}' ELSE jsonb_build_object(
        'v', 1, 'key', k.key, 'user_id', k.who,
        'identify', '{"set": {"plan": "pro"}}'::jsonb,
        'groups', jsonb_build_array(jsonb_build_object('type', 'account', 'id', 'acc' || i % 100)),
        'track', '{"event": "Bought"}'::jsonb
    ) END,
    k.at, k.at, i
FROM generate_series(1, 1000000) AS i
CROSS JOIN LATERAL (
    SELECT 'k' || i AS key, 'u' || i % 100000 AS who,
        now() - interval '1 second' * (CASE WHEN i <= 450000 THEN 5000000 - i ELSE 2000 - i / 1000 END) AS at
) AS k;
