-- Everybody whose traits a flight touches needs a row to lock. Sorted, so that two
-- flights cannot deadlock each other.
INSERT INTO waybill.profile (dest, kind, id)
SELECT $1, p.kind, p.id
FROM unnest($2::text[], $3::text[]) AS p (kind, id)
ORDER BY p.kind, p.id
ON CONFLICT (dest, kind, id) DO NOTHING;
