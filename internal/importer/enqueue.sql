-- One batch through the one door: one round trip, one transaction.
SELECT
    n,
    coalesce(bundle_id, 0) AS bundle_id,
    outcome,
    coalesce(reason, '') AS reason
FROM waybill.enqueue($1::jsonb);
