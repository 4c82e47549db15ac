-- Begins a new file of the log. One that nothing was written to would go on.
SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'chaos', 'written');
