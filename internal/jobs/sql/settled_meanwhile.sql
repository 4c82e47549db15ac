-- Of some bundles, those with another fate than they were read with: an outcome, or a doubt
-- that the ones of the second parameter had already.
SELECT d.bundle_id
FROM waybill.delivery AS d
WHERE d.bundle_id = ANY ($1::bigint[])
    AND (d.outcome <> 'in_doubt' OR d.bundle_id <> ALL ($2::bigint[]));
