-- How many bundles have an outcome, up to as many as matter.
SELECT count(*) FROM (SELECT FROM waybill.delivery LIMIT $1) AS d;
