-- The application's own schema: the ground truth.
CREATE SCHEMA chaos;
CREATE TABLE chaos.action (
    key text PRIMARY KEY,
    spec jsonb NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
