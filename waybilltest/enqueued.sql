-- What this transaction has enqueued so far, in order, and nobody else.
--
-- A row that is visible and whose inserting transaction is still in progress is our
-- own: of all others one sees only what has committed. That holds for savepoints too,
-- which have ids of their own, and for the blocks of PL/pgSQL functions.
--
-- The first condition keeps old rows out, whose 32-bit ids may have come round again:
-- enqueued_at is the clock at the insert.
SELECT
    b.id,
    b.action_key,
    coalesce(b.payload::text, ''),
    coalesce(d.outcome, 'queued'),
    coalesce(d.reason, '')
FROM waybill.bundle AS b
LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id
WHERE b.enqueued_at >= transaction_timestamp()
    AND pg_xact_status((pg_current_xact_id_if_assigned()::text::bigint - age(b.xmin))::text::xid8) = 'in progress'
ORDER BY b.id
