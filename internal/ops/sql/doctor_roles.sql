-- The three roles: whether they exist and the current role belongs to them.
SELECT w.role, r.oid IS NOT NULL, coalesce(pg_has_role(current_user, r.oid, 'USAGE'), false)
FROM unnest(ARRAY['waybill_producer', 'waybill_worker', 'waybill_operator']) WITH ORDINALITY AS w (role, place)
LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = w.role
ORDER BY w.place;
