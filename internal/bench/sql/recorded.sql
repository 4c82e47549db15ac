-- How many bundles after one have an outcome, up to as many as matter.
SELECT count(*) FROM (SELECT FROM waybill.delivery WHERE bundle_id > $2 LIMIT $1) AS d;
