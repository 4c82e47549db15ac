-- Bundles a second, from the first claim after a moment to the record of so many.
SELECT $1::int / extract(epoch FROM max(d.at) - (
    SELECT min(attempted_at) FROM waybill.river_job WHERE attempted_at > $2::timestamptz
))::float8
FROM (SELECT at FROM waybill.delivery WHERE at > $2::timestamptz ORDER BY at LIMIT $1::int) AS d;
