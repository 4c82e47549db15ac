-- Who must wait. There are few, so all of them are read rather than joined. now() lets
-- the index end the search, where clock_timestamp() would be asked again for every row, and
-- the order is that of the index: to the planner of an empty table, any other is as good.
SELECT kind, id, parked_until
FROM waybill.profile
WHERE dest = $1 AND parked_until > now()
ORDER BY parked_until
LIMIT 10000;
