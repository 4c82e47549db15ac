-- Versions go back into the document, which alone held them before.
UPDATE waybill.profile AS p
SET traits = (
    SELECT jsonb_object_agg(t.name, CASE
        WHEN t.name = ANY (string_to_array(p.seen, E'\x1f'))
            AND ((t.trait ->> 'at')::bigint, (t.trait ->> 'bundle_id')::bigint) < (p.seen_at, p.seen_id)
            THEN t.trait || jsonb_build_object('at', p.seen_at, 'bundle_id', p.seen_id)
        ELSE t.trait
    END)
    FROM jsonb_each(p.traits) AS t (name, trait)
)
WHERE seen <> '';

ALTER TABLE waybill.profile
DROP COLUMN seen,
DROP COLUMN seen_at,
DROP COLUMN seen_id;
