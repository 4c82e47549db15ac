-- What must have happened, by the shop's own tables: one action for every row, and
-- whether Amplitude gets an event of it.
SELECT 'order_completed:' || id AS action_key, true AS is_event, total_cents::bigint FROM shop.orders
UNION ALL
SELECT 'order_reviewed:' || order_id, true, 0 FROM shop.reviews
UNION ALL
SELECT 'product_viewed:' || id, true, 0 FROM shop.views
UNION ALL
SELECT 'signup_completed:' || id, true, 0 FROM shop.customers
UNION ALL
SELECT 'plan_changed:' || c.id || ':' || n, true, 0
FROM shop.customers AS c
CROSS JOIN LATERAL generate_series(1, c.plan_changes) AS n
UNION ALL
SELECT 'account:' || a.id || ':renamed:' || n, false, 0
FROM shop.accounts AS a
CROSS JOIN LATERAL generate_series(1, a.renamed) AS n;
