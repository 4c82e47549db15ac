-- Bundles a second, from the first claim to the record of so many.
SELECT $1::int / extract(epoch FROM max(d.at) - (SELECT min(attempted_at) FROM waybill.river_job))::float8
FROM (SELECT at FROM waybill.delivery ORDER BY at LIMIT $1::int) AS d;
