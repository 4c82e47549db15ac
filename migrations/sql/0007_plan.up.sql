-- What a tracking plan found. A worker with a plan writes here, in the transaction in
-- which it records what became of the bundle; a worker without one never does.
--
-- River's upgrades run this step again, after the operators' step that it adds to, so
-- all of it may run twice.

-- One row for each way in which a bundle breaks the plan. It names properties and rules
-- and holds no value. A bundle that is looked at again has its rows replaced one by one;
-- what no longer holds stays as what once did.
CREATE TABLE IF NOT EXISTS waybill.violation (
    bundle_id bigint NOT NULL,
    -- Empty: the event itself.
    property text NOT NULL,
    rule text NOT NULL,
    event text NOT NULL,
    version text NOT NULL,
    reason text NOT NULL,
    -- What followed: observe sends, quarantine and enforce hold back.
    mode text NOT NULL CHECK (mode IN ('observe', 'quarantine', 'enforce')),
    -- Name and version of the plan.
    plan text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (bundle_id, property, rule)
);

CREATE INDEX IF NOT EXISTS violation_at ON waybill.violation (at);

INSERT INTO waybill.walk (name) VALUES ('violations') ON CONFLICT (name) DO NOTHING;

-- waybill.event_quality: the newest 100,000 bundles by event, the good beside the bad.
-- The limits of one row keep the planner from reading the other tables whole.
CREATE OR REPLACE VIEW waybill.event_quality AS
SELECT
    b.event,
    count(*) AS bundles,
    count(*) FILTER (WHERE d.outcome = 'delivered') AS delivered,
    count(*) FILTER (WHERE d.outcome = 'rejected') AS rejected,
    count(*) FILTER (WHERE d.outcome IS NULL OR d.outcome = 'in_doubt') AS waiting,
    count(v.bundle_id) AS breaking_plan,
    min(b.enqueued_at) AS since
FROM (
    SELECT n.id, n.event, n.enqueued_at
    FROM waybill.bundle AS n
    ORDER BY n.id DESC
    LIMIT 100000
) AS b
LEFT JOIN LATERAL (SELECT o.outcome FROM waybill.delivery AS o WHERE o.bundle_id = b.id LIMIT 1) AS d ON true
LEFT JOIN LATERAL (SELECT o.bundle_id FROM waybill.violation AS o WHERE o.bundle_id = b.id LIMIT 1) AS v ON true
GROUP BY b.event;

-- waybill.violations: what broke the plan lately, the most frequent first. `bundles` are
-- counted up to `most` violations back, and twenty lines are the most there are.
CREATE OR REPLACE FUNCTION waybill.violations(over interval DEFAULT '1 day', most int DEFAULT 100000)
RETURNS TABLE (
    event text, version text, property text, rule text, mode text, reason text, bundles bigint, newest timestamptz,
    capped boolean
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, waybill, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
    SELECT v.event, v.version, v.property, v.rule, v.mode, max(v.reason), count(*), max(v.at),
        sum(count(*)) OVER () > most
    FROM (
        SELECT * FROM waybill.violation
        WHERE at > now() - over
        ORDER BY at DESC
        LIMIT most + 1
    ) AS v
    GROUP BY v.event, v.version, v.property, v.rule, v.mode
    ORDER BY count(*) DESC, max(v.at) DESC, v.event, v.property, v.rule
    LIMIT 20
$$;

-- waybill.unsent: bundles of one MAJOR version of an event that still have to go out, and
-- when the oldest of them was enqueued. `names` are all names the event goes by. One
-- without a version counts if the caller says so. It reads the whole backlog.
CREATE OR REPLACE FUNCTION waybill.unsent(names text[], major int, unversioned boolean)
RETURNS TABLE (bundles bigint, oldest timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, waybill, pg_temp
SET jit = off
AS $$
    WITH due AS (
        SELECT e.id::bigint AS id
        FROM waybill.river_job AS j
        CROSS JOIN LATERAL jsonb_array_elements_text(j.args -> 'bundle_ids') AS e (id)
        WHERE j.queue = 'analytics' AND j.finalized_at IS NULL
        UNION
        -- Those whose job is gone: everything up to the mark was seen to have an outcome.
        SELECT b.id
        FROM waybill.walk AS w
        JOIN waybill.bundle AS b ON b.id > w.settled
        WHERE w.name = 'orphans'
    )
    SELECT count(*), min(b.enqueued_at)
    FROM due
    JOIN waybill.bundle AS b ON b.id = due.id
    LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id
    WHERE (d.bundle_id IS NULL OR d.outcome = 'in_doubt')
        AND b.payload -> 'track' ->> 'event' = ANY (names)
        AND CASE
            WHEN b.payload -> 'track' ->> 'version' IS NULL THEN unversioned
            ELSE split_part(b.payload -> 'track' ->> 'version', '.', 1) = major::text
        END
$$;

-- Rights, as 0004 gives them and on what is here.
CREATE OR REPLACE FUNCTION waybill.grant_operator() RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    GRANT SELECT ON waybill.job, waybill.worker, waybill.delivery_log, waybill.river_queue, waybill.migration,
        waybill.violation, waybill.event_quality
    TO waybill_operator;
    GRANT EXECUTE ON FUNCTION
        waybill.job_by_key(text), waybill.depth(int), waybill.throughput(interval, int), waybill.dead_letters(int),
        waybill.in_doubt(int), waybill.parked(int), waybill.violations(interval, int),
        waybill.unsent(text[], int, boolean),
        waybill.retry(text, text, text, timestamptz, timestamptz, text, int, boolean, timestamptz, bigint),
        waybill.resolve(text, text, text, timestamptz, timestamptz, text, int, boolean, timestamptz, bigint)
    TO waybill_operator;
END
$$;

REVOKE ALL ON waybill.violation, waybill.event_quality FROM PUBLIC;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA waybill FROM PUBLIC;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'waybill_operator') THEN
        PERFORM waybill.grant_operator();
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'waybill_worker') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON waybill.violation, waybill.event_quality TO waybill_worker;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA waybill TO waybill_worker;
    END IF;
END
$$;
