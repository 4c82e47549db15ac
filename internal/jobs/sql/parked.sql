-- Who must wait. There are few, so all of them are read rather than joined.
SELECT kind, id, parked_until
FROM waybill.profile
WHERE dest = $1 AND parked_until > clock_timestamp()
LIMIT 10000;
