-- Whether a worker has requests under way, and the moment by the database's clock.
SELECT EXISTS (SELECT FROM waybill.request WHERE worker = $1), clock_timestamp();
