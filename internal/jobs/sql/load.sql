-- The bundles of one flight with what is known of their fate. OFFSET keeps the planner from
-- reading all outcomes instead of looking for each: see indexed.sql.
SELECT b.id, b.payload, b.occurred_at, b.enqueued_at, d.outcome, d.doubt_since, d.request_id
FROM waybill.bundle AS b
LEFT JOIN LATERAL (
    SELECT e.outcome, e.doubt_since, e.request_id FROM waybill.delivery AS e
    WHERE e.bundle_id = b.id
    OFFSET 0
) AS d ON true
WHERE b.id = ANY ($1::bigint[]);
