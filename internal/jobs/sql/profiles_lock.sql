-- Locked in one order, and in a statement of their own: one that waited for a lock sees
-- the row as it is then, but every table it joins as it was when the statement began. A
-- reservation that was just taken would look like one whose request is gone.
SELECT FROM waybill.profile AS p
JOIN unnest($2::text[], $3::text[]) AS wanted (kind, id) ON wanted.kind = p.kind AND wanted.id = p.id
WHERE p.dest = $1
ORDER BY p.kind, p.id
FOR UPDATE OF p;
