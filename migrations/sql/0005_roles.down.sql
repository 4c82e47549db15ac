-- The roles stay: they belong to the cluster, and other databases may use them.
-- Their rights here go with the objects they are rights on.
DO $$
DECLARE
    had text;
BEGIN
    FOREACH had IN ARRAY ARRAY['waybill_producer', 'waybill_worker', 'waybill_operator'] LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = had) THEN
            EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA waybill FROM %I', had);
            EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA waybill FROM %I', had);
            EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA waybill FROM %I', had);
            EXECUTE format('REVOKE ALL ON SCHEMA waybill FROM %I', had);
        END IF;
    END LOOP;
END
$$;
