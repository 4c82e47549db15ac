-- Ten times the users that have something waiting. One in ten was parked once.
INSERT INTO waybill.profile (dest, kind, id, traits, sent_at, parked_until)
SELECT 'test', 'user', 'u' || i, '{}', now(), CASE WHEN i % 10 = 0 THEN now() - interval '1 hour' END
FROM generate_series(1, 1000000) AS i;
