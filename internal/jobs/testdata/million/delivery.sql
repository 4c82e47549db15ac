INSERT INTO waybill.delivery (bundle_id, outcome, at, attempt, request_id)
SELECT i, 'delivered', now() - interval '1 second' * (CASE WHEN i <= 450000 THEN 5000000 - i ELSE 1 END), 1, i / 1000
FROM generate_series(1, 800000) AS i;
