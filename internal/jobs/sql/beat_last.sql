-- A worker that could not record its last requests leaves its row, so that another one
-- finds them.
DELETE FROM waybill.worker AS w
WHERE w.id = $1 AND NOT EXISTS (SELECT FROM waybill.request AS r WHERE r.worker = w.id);
