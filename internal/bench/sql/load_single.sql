-- One call of waybill.enqueue for each bundle, many in a transaction.
SELECT count(*)
FROM unnest($1::text[]) AS b (bundle)
CROSS JOIN LATERAL waybill.enqueue(b.bundle::jsonb) AS e
WHERE e.outcome = 'queued';
