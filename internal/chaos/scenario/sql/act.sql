-- One business transaction: the application's own rows, and their bundles. A repeated
-- action finds its row and its bundle.
WITH acted AS (
    INSERT INTO chaos.action (key, spec)
    SELECT a.key, a.spec::jsonb FROM unnest($1::text[], $2::text[]) AS a (key, spec)
    ON CONFLICT (key) DO NOTHING
)
SELECT array_agg(e.outcome ORDER BY e.n) FROM waybill.enqueue($3::text::jsonb) AS e;
