-- Identities that are parked for longer than anybody is: a pause is short, or lasts until the
-- next UTC day, and this one was noted before the database's clock stepped back. Both ranges
-- are empty most of the time, and the index says so.
WITH ends AS (
    SELECT now() + $2::interval AS pause, (date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC' AS day
),
today AS (
    SELECT p.kind, p.id FROM waybill.profile AS p
    WHERE p.dest = $1 AND p.parked_until > (SELECT pause FROM ends) AND p.parked_until < (SELECT day FROM ends)
    ORDER BY p.parked_until
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
),
afterwards AS (
    SELECT p.kind, p.id FROM waybill.profile AS p
    WHERE p.dest = $1 AND p.parked_until > (SELECT greatest(pause, day) FROM ends)
    ORDER BY p.parked_until
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
)
UPDATE waybill.profile AS p
SET parked_until = NULL
FROM (TABLE today UNION ALL TABLE afterwards) AS m
WHERE p.dest = $1 AND p.kind = m.kind AND p.id = m.id;
