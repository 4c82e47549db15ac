-- What time it is, and how many bundles have an outcome.
SELECT clock_timestamp(), (SELECT count(*) FROM waybill.delivery);
