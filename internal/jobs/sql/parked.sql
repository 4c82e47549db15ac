-- Who must wait. There are few, so all of them are read rather than joined. now() lets
-- the index end the search: clock_timestamp() would be asked again for every row.
SELECT kind, id, parked_until
FROM waybill.profile
WHERE dest = $1 AND parked_until > now()
LIMIT 10000;
