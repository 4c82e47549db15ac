SELECT count(*)
FROM waybill.river_job
WHERE state = 'completed' AND finalized_at < now() - interval '1 hour';
