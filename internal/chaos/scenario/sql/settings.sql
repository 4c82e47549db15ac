-- What the server was told on its command line, but for where it lives.
SELECT name, setting FROM pg_catalog.pg_settings
WHERE source = 'command line' AND name NOT IN ('data_directory', 'unix_socket_directories', 'config_file', 'hba_file', 'ident_file');
