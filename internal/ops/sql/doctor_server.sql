SELECT current_setting('server_version_num')::int, current_setting('server_version'),
    pg_is_in_recovery(), current_setting('default_transaction_read_only')::boolean,
    pg_backend_pid(), current_user::text,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend')::int,
    current_setting('autovacuum')::boolean, current_setting('track_counts')::boolean;
