-- Logins with no more rights than they need. CREATE ROLE takes no parameters, so the
-- password comes from a setting of this session.
DO $$
BEGIN
    EXECUTE format('CREATE ROLE chaos_app LOGIN PASSWORD %L IN ROLE waybill_producer', current_setting('chaos.password'));
    EXECUTE format('CREATE ROLE chaos_worker LOGIN PASSWORD %L IN ROLE waybill_worker', current_setting('chaos.password'));
END
$$;
GRANT USAGE ON SCHEMA chaos TO chaos_app;
GRANT SELECT, INSERT ON chaos.action TO chaos_app;
