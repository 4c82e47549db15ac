-- As text, so that no codec for jsonb that an application has registered, and
-- which might write a Go string as a JSON string, comes in between.
SELECT n, bundle_id, outcome, reason
FROM waybill.enqueue($1::text::jsonb)
