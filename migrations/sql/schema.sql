CREATE SCHEMA IF NOT EXISTS waybill;

-- Which of our steps stand here. readable_by is the oldest worker, by the step it
-- knows, that can work on the database as this step leaves it: a rolling deploy
-- migrates first and stops the old workers last.
CREATE TABLE IF NOT EXISTS waybill.migration (
    version int PRIMARY KEY,
    name text NOT NULL,
    readable_by int NOT NULL DEFAULT 1,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- River's newest step when ours was last applied; null from the moment River's steps
-- begin. It is written together with what it speaks of, so that a migration that was cut
-- off is known by it. Asked for first, because ALTER TABLE locks out every reader.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = 'waybill.migration'::regclass AND attname = 'river_version'
    ) THEN
        ALTER TABLE waybill.migration ADD COLUMN river_version int;
    END IF;
END
$$;
