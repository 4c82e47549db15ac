-- How many of these bundles have no outcome yet, and when the last one got its.
SELECT count(*) FILTER (WHERE d.outcome IS NULL OR d.outcome = 'in_doubt'), coalesce(max(d.at), 'epoch')
FROM unnest($1::bigint[]) AS held (id)
LEFT JOIN waybill.delivery AS d ON d.bundle_id = held.id;
