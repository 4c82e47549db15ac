-- The bundles of one flight with what is known of their fate.
SELECT b.id, b.payload, b.occurred_at, b.enqueued_at, d.outcome, d.doubt_since, d.request_id
FROM waybill.bundle AS b
LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id
WHERE b.id = ANY ($1::bigint[]);
