-- The bundles of one call, with their ids in order.
SELECT array_agg(e.bundle_id ORDER BY e.n), count(*) FILTER (WHERE e.outcome <> 'queued')
FROM waybill.enqueue($1::text::jsonb) AS e;
