-- Three roles without login, to be granted to logins of your own. Whoever may not
-- create roles gets a notice instead of an error: `worker migrate --print-grants`
-- prints this file for somebody who may, and the next migration run finds them.
--
-- A producer may call the three enqueue functions and nothing else: it can read no
-- bundle, not even its own.

REVOKE ALL ON SCHEMA waybill FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA waybill FROM PUBLIC;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA waybill FROM PUBLIC;

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['waybill_producer', 'waybill_worker', 'waybill_operator'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            END IF;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'may not create role %; see worker migrate --print-grants', wanted;
            WHEN duplicate_object OR unique_violation THEN
                NULL; -- somebody else has just made it
        END;
    END LOOP;

    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'waybill_producer') THEN
        GRANT USAGE ON SCHEMA waybill TO waybill_producer;
        GRANT EXECUTE ON FUNCTION
            waybill.enqueue(jsonb), waybill.enqueue_text(text), waybill.try_enqueue(text)
        TO waybill_producer;
    END IF;

    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'waybill_worker') THEN
        GRANT USAGE ON SCHEMA waybill TO waybill_worker;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA waybill TO waybill_worker;
        GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA waybill TO waybill_worker;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA waybill TO waybill_worker;
    END IF;

    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'waybill_operator') THEN
        GRANT USAGE ON SCHEMA waybill TO waybill_operator;
        PERFORM waybill.grant_operator();
    END IF;
END
$$;
