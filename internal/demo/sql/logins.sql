-- Logins as an operator would make them: one for each role, and no more rights than
-- the role has. CREATE ROLE takes no parameters, so names and password come from
-- settings of this session.
DO $$
DECLARE
    shop text := current_setting('demo.shop');
    operator text := current_setting('demo.operator');
    login record;
BEGIN
    FOR login IN
        SELECT * FROM (VALUES
            (shop, 'waybill_producer'),
            (current_setting('demo.worker'), 'waybill_worker'),
            (operator, 'waybill_operator')
        ) AS l (name, role)
    LOOP
        EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L IN ROLE %I',
            login.name, current_setting('demo.password'), login.role);
    END LOOP;

    -- The shop's tables are its own; whoever looks around may read them.
    EXECUTE format('CREATE SCHEMA shop AUTHORIZATION %I', shop);
    EXECUTE format('ALTER ROLE %I SET search_path = shop', shop);
    EXECUTE format('GRANT USAGE ON SCHEMA shop TO %I', operator);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA shop GRANT SELECT ON TABLES TO %I', shop, operator);
END
$$;
