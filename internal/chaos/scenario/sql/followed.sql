-- Whether a standby confirms every COMMIT and has all that was committed before it did.
SELECT count(*) FROM pg_catalog.pg_stat_replication
WHERE sync_state = 'sync' AND flush_lsn >= pg_current_wal_flush_lsn();
