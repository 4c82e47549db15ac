-- What `worker retry` does, for some keys.
SELECT coalesce(sum(r.moved), 0)
FROM unnest($1::text[]) AS k (key)
CROSS JOIN LATERAL waybill.retry('rejected', key => k.key, until => 'infinity', dry_run => false) AS r;
