-- The profiles that a request is to be recorded in, locked in the order in which flights lock
-- them, if it is still this worker's. Only after somebody has changed one of them while record.sql
-- went for it. A statement of its own: what was waited for has come to stand elsewhere, and
-- record.sql has to see where.
SELECT count(*)
FROM (
    SELECT p.seen_id
    FROM (
        SELECT w.kind, w.id
        FROM unnest($4::text[], $5::text[]) AS w (kind, id), (
            SELECT FROM waybill.request WHERE id = $1 AND worker = $2 FOR UPDATE
        ) AS mine
        ORDER BY w.kind, w.id
    ) AS wanted
    CROSS JOIN LATERAL (
        SELECT q.seen_id FROM waybill.profile AS q
        WHERE q.dest = $3 AND q.kind = wanted.kind AND q.id = wanted.id AND q.request_id = $1
        FOR UPDATE
    ) AS p
) AS locked;
