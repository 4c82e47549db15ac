-- Connections that the server still keeps for a program.
SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE application_name = $1;
