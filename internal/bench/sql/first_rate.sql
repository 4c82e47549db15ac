-- Bundles a second since a time, from the first claim to the record of so many.
SELECT $2::int / extract(epoch FROM max(d.at) - (SELECT min(attempted_at) FROM waybill.river_job WHERE attempted_at >= $1))::float8
FROM (SELECT at FROM waybill.delivery WHERE at >= $1 ORDER BY at LIMIT $2::int) AS d;
