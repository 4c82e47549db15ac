-- Who we are, whether we may create databases, and on which version.
SELECT
    rolname,
    rolsuper OR rolcreatedb AS may_create,
    current_setting('server_version_num')::integer AS version
FROM pg_roles
WHERE rolname = current_user;
