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
