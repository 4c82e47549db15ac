-- Whether this server takes writes: a standby does not, nor does a server or a role
-- that somebody has set to read-only.
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean;
