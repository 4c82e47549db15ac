-- Written down before it is sent: while this row stands, its bundles may have been
-- accepted. A worker that was declared dead has no row and opens no request.
INSERT INTO waybill.request (id, worker, bundle_ids)
OVERRIDING SYSTEM VALUE
SELECT $1, w.id, $3::bigint[]
FROM waybill.worker AS w
WHERE w.id = $2
RETURNING started_at;
