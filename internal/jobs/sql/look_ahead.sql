-- Whose the bundles are that wait, as a number. Two users that share one are taken for one, and
-- travel together; that is all. Those that name nobody but a device are left out.
SELECT id, hashtextextended(user_id, 0)
FROM waybill.bundle
WHERE id = ANY ($1::bigint[]) AND user_id <> '';
