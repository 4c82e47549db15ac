-- The time, and the last bundle that has an outcome.
SELECT clock_timestamp(), (SELECT coalesce(max(bundle_id), 0) FROM waybill.delivery);
