-- A worker that left without saying so is shown for an hour.
SELECT id, beat_at, started_at, about
FROM waybill.worker
WHERE beat_at > clock_timestamp() - interval '1 hour'
ORDER BY beat_at DESC, id
LIMIT 100;
