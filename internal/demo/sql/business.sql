-- What must have happened, by the shop's own tables: one action for every row, and
-- whether Amplitude gets an event of it.
SELECT 'order:' || id || ':completed' AS action_key, true AS is_event, total_cents::bigint FROM shop.orders
UNION ALL
SELECT 'order:' || order_id || ':reviewed', true, 0 FROM shop.reviews
UNION ALL
SELECT 'view:' || id, true, 0 FROM shop.views
UNION ALL
SELECT 'customer:' || id || ':signed_up', true, 0 FROM shop.customers
UNION ALL
SELECT 'customer:' || c.id || ':plan_changed:' || n, true, 0
FROM shop.customers AS c
CROSS JOIN LATERAL generate_series(1, c.plan_changes) AS n
UNION ALL
SELECT 'account:' || a.id || ':renamed:' || n, false, 0
FROM shop.accounts AS a
CROSS JOIN LATERAL generate_series(1, a.renamed) AS n;
