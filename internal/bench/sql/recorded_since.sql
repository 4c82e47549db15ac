-- When the first outcome after a moment was recorded, in seconds after it, and bundles a
-- second from there on.
SELECT
    extract(epoch FROM min(at) - $1::timestamptz)::float8,
    count(*) / extract(epoch FROM max(at) - min(at))::float8
FROM waybill.delivery
WHERE at > $1::timestamptz;
