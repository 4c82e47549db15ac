-- Bundles a second, from the recording of a tenth to that of so many.
SELECT count(*) / extract(epoch FROM max(at) - min(at))::float8
FROM (SELECT at FROM waybill.delivery ORDER BY at OFFSET $1::int / 10 LIMIT $1::int - $1::int / 10) AS d;
