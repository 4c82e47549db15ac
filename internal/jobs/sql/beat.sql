UPDATE waybill.worker
SET beat = beat + 1, beat_at = clock_timestamp(), about = $2
WHERE id = $1
RETURNING clock_timestamp();
