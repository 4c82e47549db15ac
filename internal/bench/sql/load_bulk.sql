-- One call for all bundles.
SELECT count(*) FROM waybill.enqueue($1::text::jsonb) AS e WHERE e.outcome = 'queued';
