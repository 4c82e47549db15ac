SELECT n, bundle_id, outcome, reason
FROM waybill.try_enqueue($1::text)
