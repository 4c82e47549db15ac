-- Connections that the server still keeps for a program: what one of them was doing
-- when its program was killed may yet commit.
SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE application_name = $1;
