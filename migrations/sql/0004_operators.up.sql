-- What operators see and press. Nothing here shows a payload, a property, a trait
-- or the id of a parked identity.
--
-- The functions run with their owner's rights, so that an operator needs no right on
-- a table that holds payloads. All of them are bounded: each stops counting at `most`
-- and says so in `capped`, because a count over a backlog of millions is itself a
-- load on a queue that is already behind. They forbid the planner what it would
-- misjudge: it takes the wanted rows for spread evenly over a table where they stand
-- at its very end.

-- waybill.job: one row per bundle, whatever has become of its River job. Ask it by
-- bundle_id; by action key ask waybill.job_by_key, which goes by the unique hash,
-- where this view would read the whole ledger.
CREATE OR REPLACE VIEW waybill.job AS
SELECT
    b.id AS bundle_id,
    b.action_key,
    b.event,
    b.user_id,
    b.occurred_at,
    b.enqueued_at,
    d.outcome,
    d.reason,
    d.at AS settled_at,
    d.doubt_since,
    d.request_id,
    b.job_id,
    j.state::text AS job_state,
    greatest(coalesce(j.attempt, 0), coalesce(d.attempt, 0)) AS attempts,
    j.scheduled_at AS next_at,
    j.errors[array_upper(j.errors, 1)] ->> 'error' AS last_error,
    d.at - b.enqueued_at AS lag,
    b.payload IS NOT NULL AS has_payload
FROM waybill.bundle AS b
LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id
LEFT JOIN waybill.river_job AS j ON j.id = b.job_id;

CREATE OR REPLACE FUNCTION waybill.job_by_key(key text)
RETURNS TABLE (
    bundle_id bigint, action_key text, event text, user_id text, occurred_at timestamptz, enqueued_at timestamptz,
    outcome text, reason text, settled_at timestamptz, doubt_since timestamptz, request_id bigint,
    job_id bigint, job_state text, attempts int, next_at timestamptz, last_error text, lag interval, has_payload boolean
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, waybill, pg_temp
AS $$
    SELECT j.* FROM waybill.job AS j
    WHERE j.bundle_id = (SELECT b.id FROM waybill.bundle AS b WHERE b.key_hash = sha256(convert_to(key, 'UTF8')))
$$;

-- waybill.depth: every job that is not completed, by state, with the bundles it
-- points at. `oldest` is when the oldest of them was put into the queue, which for a
-- retried bundle is the retry. It reads at most `most` entries of an index per state, of
-- the available jobs per priority and those due first (55 ms for 100,000).
CREATE OR REPLACE FUNCTION waybill.depth(most int DEFAULT 100000)
RETURNS TABLE (state text, jobs bigint, bundles bigint, oldest timestamptz, capped boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, waybill, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
    SELECT n.state::text, sum(n.jobs)::bigint, coalesce(sum(n.bundles), 0)::bigint, min(n.oldest), bool_or(n.jobs > most)
    FROM (
        SELECT 'available'::waybill.river_job_state AS state, a.*
        FROM generate_series(1, 4) AS p (priority)
        CROSS JOIN LATERAL (
            SELECT count(*) AS jobs, sum(jsonb_array_length(j.args -> 'bundle_ids')) AS bundles, min(j.created_at) AS oldest
            FROM (
                SELECT r.args, r.created_at FROM waybill.river_job AS r
                WHERE r.state = 'available' AND r.queue = 'analytics' AND r.priority = p.priority
                ORDER BY r.scheduled_at
                LIMIT most + 1
            ) AS j
        ) AS a
        UNION ALL
        SELECT s.state, o.*
        FROM unnest(enum_range(NULL::waybill.river_job_state)) AS s (state)
        CROSS JOIN LATERAL (
            SELECT count(*), sum(jsonb_array_length(j.args -> 'bundle_ids')), min(j.created_at)
            FROM (
                SELECT r.args, r.created_at FROM waybill.river_job AS r
                -- The second condition is the index's own.
                WHERE r.state = s.state AND r.state <> 'available' AND r.queue = 'analytics'
                LIMIT most + 1
            ) AS j
        ) AS o
        WHERE s.state NOT IN ('available', 'completed')
    ) AS n
    GROUP BY n.state
    ORDER BY n.state
$$;

-- waybill.throughput: bundles whose jobs were completed lately, newest first, and how
-- many of them are delivered. `since` is where the count begins: `over` ago, or later
-- if `most` bundles were counted before (then capped). It sees the hour for which
-- completed jobs are kept; 100,000 bundles take 0.3 s.
CREATE OR REPLACE FUNCTION waybill.throughput(over interval DEFAULT '1 hour', most int DEFAULT 100000)
RETURNS TABLE (settled bigint, delivered bigint, since timestamptz, capped boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, waybill, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
    SELECT count(*), count(*) FILTER (WHERE d.outcome = 'delivered'),
        CASE WHEN count(*) >= most THEN min(s.finalized_at) ELSE now() - over END,
        count(*) >= most
    FROM (
        SELECT j.finalized_at, e.bundle_id::bigint AS bundle_id
        FROM (
            SELECT r.finalized_at, r.args FROM waybill.river_job AS r
            WHERE r.state = 'completed' AND r.finalized_at IS NOT NULL AND r.finalized_at > now() - over
            ORDER BY r.finalized_at DESC
            LIMIT most
        ) AS j
        CROSS JOIN LATERAL jsonb_array_elements_text(j.args -> 'bundle_ids') AS e (bundle_id)
        LIMIT most
    ) AS s
    LEFT JOIN waybill.delivery AS d ON d.bundle_id = s.bundle_id
$$;

-- waybill.dead_letters: what waits for a person, by outcome and reason. The newest
-- `most` of each outcome are looked at; of its reasons the twenty most frequent are
-- named and the rest is one line.
CREATE OR REPLACE FUNCTION waybill.dead_letters(most int DEFAULT 100000)
RETURNS TABLE (
    outcome text, reason text, bundles bigint, last_hour bigint, oldest timestamptz, newest timestamptz, capped boolean
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, waybill, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
    WITH reasons AS (
        SELECT o.outcome, left(coalesce(l.reason, ''), 200) AS reason, count(*) AS bundles,
            count(*) FILTER (WHERE l.at > now() - interval '1 hour') AS last_hour,
            min(l.at) AS oldest, max(l.at) AS newest,
            sum(count(*)) OVER (PARTITION BY o.outcome) > most AS capped,
            row_number() OVER (PARTITION BY o.outcome ORDER BY count(*) DESC, max(l.at) DESC) AS place
        FROM unnest(ARRAY['rejected', 'skipped', 'uncertain']) AS o (outcome)
        CROSS JOIN LATERAL (
            -- The second condition is what lets a plan for any outcome use the
            -- partial index.
            SELECT d.reason, d.at FROM waybill.delivery AS d
            WHERE d.outcome = o.outcome AND d.outcome <> 'delivered'
            ORDER BY d.at DESC
            LIMIT most + 1
        ) AS l
        GROUP BY 1, 2
    )
    SELECT r.outcome, CASE WHEN r.place <= 20 THEN r.reason ELSE '(other reasons)' END,
        sum(r.bundles)::bigint, sum(r.last_hour)::bigint, min(r.oldest), max(r.newest), bool_or(r.capped)
    FROM reasons AS r
    GROUP BY 1, 2, r.place <= 20
    ORDER BY 1, 3 DESC, 2
$$;

-- waybill.in_doubt: bundles that may have been accepted and are still due.
CREATE OR REPLACE FUNCTION waybill.in_doubt(most int DEFAULT 100000)
RETURNS TABLE (bundles bigint, oldest timestamptz, capped boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, waybill, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
    SELECT count(*), min(l.doubt_since), count(*) > most
    FROM (
        SELECT d.doubt_since FROM waybill.delivery AS d
        WHERE d.outcome = 'in_doubt'
        ORDER BY d.at
        LIMIT most + 1
    ) AS l
$$;

-- waybill.parked: how many users and groups Amplitude has asked to leave alone, and
-- until when at most. Parkings that are over stay in the index until the identity's
-- next bundle, so it is entered per destination at now().
CREATE OR REPLACE FUNCTION waybill.parked(most int DEFAULT 100000)
RETURNS TABLE (identities bigint, until timestamptz, capped boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, waybill, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
    WITH RECURSIVE dests AS (
        (SELECT p.dest FROM waybill.profile AS p WHERE p.parked_until IS NOT NULL ORDER BY p.dest LIMIT 1)
        UNION ALL
        SELECT (
            SELECT p.dest FROM waybill.profile AS p
            WHERE p.parked_until IS NOT NULL AND p.dest > d.dest
            ORDER BY p.dest LIMIT 1
        )
        FROM dests AS d WHERE d.dest IS NOT NULL
    )
    SELECT coalesce(sum(n.identities), 0)::bigint, max(n.until), coalesce(bool_or(n.identities > most), false)
    FROM dests AS d
    CROSS JOIN LATERAL (
        SELECT count(*) AS identities, max(l.parked_until) AS until
        FROM (
            SELECT p.parked_until FROM waybill.profile AS p
            WHERE p.dest = d.dest AND p.parked_until > now()
            ORDER BY p.parked_until DESC
            LIMIT most + 1
        ) AS l
    ) AS n
$$;

-- waybill.override replaces the outcome of bundles that have `wanted`, and keeps what
-- it replaces in delivery_log with the login that did it. assume_delivered makes them
-- delivered; anything else puts them back into the queue, in jobs such as
-- waybill.enqueue makes, except those whose payload is gone or that have a live job.
CREATE OR REPLACE FUNCTION waybill.override(ids bigint[], wanted text, how text) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, waybill, pg_temp
AS $$
DECLARE
    held bigint[];
BEGIN
    -- In id order, so that two operators wait for each other instead of deadlocking.
    SELECT array_agg(l.id ORDER BY l.id) INTO held
    FROM (
        SELECT b.id
        FROM waybill.delivery AS d
        JOIN waybill.bundle AS b ON b.id = d.bundle_id
        WHERE d.bundle_id = ANY (ids) AND d.outcome = wanted
            AND (how = 'assume_delivered' OR b.payload IS NOT NULL AND NOT EXISTS (
                SELECT FROM waybill.river_job AS j WHERE j.id = b.job_id AND j.finalized_at IS NULL
            ))
        ORDER BY b.id
        FOR UPDATE OF d, b
    ) AS l;
    IF held IS NULL THEN
        RETURN 0;
    END IF;

    INSERT INTO waybill.delivery_log (bundle_id, outcome, reason, at, attempt, request_id, doubt_since, replaced_how)
    SELECT d.bundle_id, d.outcome, d.reason, d.at, d.attempt, d.request_id, d.doubt_since, how
    FROM waybill.delivery AS d
    WHERE d.bundle_id = ANY (held)
    ORDER BY d.bundle_id;

    IF how = 'assume_delivered' THEN
        UPDATE waybill.delivery AS d
        SET outcome = 'delivered', reason = 'assumed delivered by ' || session_user, at = clock_timestamp(),
            doubt_since = NULL
        WHERE d.bundle_id = ANY (held);
        RETURN cardinality(held);
    END IF;

    -- What was skipped while it was in doubt is in doubt again, since then: Amplitude may
    -- have forgotten what it accepted.
    UPDATE waybill.delivery AS d
    SET outcome = 'in_doubt', reason = 'an attempt before it was skipped may have been accepted',
        at = clock_timestamp(), request_id = NULL
    WHERE d.bundle_id = ANY (held) AND d.outcome = 'skipped' AND d.doubt_since IS NOT NULL;
    DELETE FROM waybill.delivery AS d
    WHERE d.bundle_id = ANY (held) AND d.outcome = wanted;

    WITH packs AS MATERIALIZED (
        SELECT p.pack, nextval('waybill.river_job_id_seq') AS job_id
        FROM generate_series(0, (cardinality(held) - 1) / 100) AS p (pack)
    ),
    moved AS (
        UPDATE waybill.bundle AS b SET job_id = p.job_id
        FROM unnest(held) WITH ORDINALITY AS h (id, n)
        JOIN packs AS p ON p.pack = (h.n - 1) / 100
        WHERE b.id = h.id
        RETURNING b.id, b.job_id, b.action_key, b.event, b.user_id
    )
    INSERT INTO waybill.river_job (id, kind, queue, priority, max_attempts, args)
    SELECT m.job_id, 'bundle', 'analytics', CASE cardinality(held) WHEN 1 THEN 1 ELSE 3 END, 32767,
        CASE cardinality(held)
            WHEN 1 THEN jsonb_strip_nulls(jsonb_build_object(
                'bundle_ids', jsonb_agg(m.id),
                'action_key', min(m.action_key),
                'event', min(m.event),
                'user_id', min(m.user_id)
            ))
            ELSE jsonb_build_object('bundle_ids', jsonb_agg(m.id ORDER BY m.id))
        END
    FROM moved AS m
    GROUP BY m.job_id;

    RETURN cardinality(held);
END
$$;

-- waybill.reconsider is what retry and resolve share: one page of a walk over the
-- bundles with the outcome `wanted`, oldest first. A page is 10,000 bundles, whether
-- they match the filter or not, so that it costs the same (60 ms) whatever the filter.
-- No operator may call it: it takes any outcome.
CREATE OR REPLACE FUNCTION waybill.reconsider(
    wanted text, how text, of_event text, of_reason text, since timestamptz, until timestamptz, of_key text,
    most int, dry_run boolean, after_at timestamptz, after_id bigint
)
RETURNS TABLE (
    examined int, matched int, moved int, no_payload int, waiting int,
    last_at timestamptz, last_id bigint, done boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, waybill, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    page CONSTANT int := 10000;
    ids bigint[];
BEGIN
    IF how = 'retry' AND wanted NOT IN ('rejected', 'skipped') THEN
        RAISE EXCEPTION 'waybill.retry takes rejected or skipped bundles, not %', wanted
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Uncertain bundles are for waybill.resolve.';
    ELSIF how NOT IN ('retry', 'assume_delivered', 'resend') THEN
        RAISE EXCEPTION 'waybill.resolve knows assume_delivered and resend, not %', how
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    WITH seen AS (
        -- `<> 'delivered'` is what lets a plan for any outcome use the partial index.
        (
            SELECT d.bundle_id, d.at, d.reason FROM waybill.delivery AS d
            WHERE of_key IS NULL AND d.outcome = wanted AND d.outcome <> 'delivered'
                AND d.at >= greatest(since, after_at) AND d.at < coalesce(until, 'infinity')
                AND (d.at, d.bundle_id) > (after_at, after_id)
            ORDER BY d.at, d.bundle_id
            LIMIT page
        )
        UNION ALL
        SELECT d.bundle_id, d.at, d.reason
        FROM waybill.bundle AS b
        JOIN waybill.delivery AS d ON d.bundle_id = b.id
        WHERE of_key IS NOT NULL AND b.key_hash = sha256(convert_to(of_key, 'UTF8')) AND d.outcome = wanted
            AND d.at >= greatest(since, after_at) AND d.at < coalesce(until, 'infinity')
    ),
    judged AS (
        SELECT s.bundle_id, s.at,
            (of_event IS NULL OR b.event = of_event) AND (of_reason IS NULL OR s.reason LIKE of_reason) AS matches,
            -- Whoever assumes it delivered needs neither payload nor queue.
            how = 'assume_delivered' OR b.payload IS NOT NULL AND NOT b.payload ? 'cut' AS whole,
            how <> 'assume_delivered' AND j.id IS NOT NULL AS waiting
        FROM seen AS s
        LEFT JOIN waybill.bundle AS b ON b.id = s.bundle_id
        LEFT JOIN waybill.river_job AS j ON j.id = b.job_id AND j.finalized_at IS NULL
    )
    SELECT count(*), count(*) FILTER (WHERE c.matches),
        count(*) FILTER (WHERE c.matches AND NOT c.whole),
        count(*) FILTER (WHERE c.matches AND c.whole AND c.waiting),
        (array_agg(c.bundle_id ORDER BY c.at, c.bundle_id) FILTER (WHERE c.matches AND c.whole AND NOT c.waiting))
            [:greatest(most, 0)],
        max(c.at),
        (array_agg(c.bundle_id ORDER BY c.at DESC, c.bundle_id DESC))[1],
        count(*) < page
    INTO examined, matched, no_payload, waiting, ids, last_at, last_id, done
    FROM judged AS c;

    moved := CASE WHEN dry_run THEN coalesce(cardinality(ids), 0) ELSE waybill.override(ids, wanted, how) END;
    RETURN NEXT;
END
$$;

-- waybill.retry sends rejected or skipped bundles back to the queue, one page of the
-- walk at a time. Call it again with (last_at, last_id) as (after_at, after_id) until
-- `done`; keep `until` where the first call had it, or what is refused again is
-- retried again. A dry run, which is the default, counts and changes nothing.
--   reason      a LIKE pattern
--   matched     bundles that the filter means; of those
--   moved       went back to the queue (or would)
--   no_payload  cannot be sent: retention has dropped the payload, or it was too
--               large or too broken to be recorded whole
--   waiting     stand in a job that has not ended; ask again in a minute
CREATE OR REPLACE FUNCTION waybill.retry(
    outcome text,
    event text DEFAULT NULL,
    reason text DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT now(),
    key text DEFAULT NULL,
    most int DEFAULT 10000,
    dry_run boolean DEFAULT true,
    after_at timestamptz DEFAULT '-infinity',
    after_id bigint DEFAULT 0
)
RETURNS TABLE (
    examined int, matched int, moved int, no_payload int, waiting int,
    last_at timestamptz, last_id bigint, done boolean
)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, waybill, pg_temp
AS $$
    SELECT * FROM waybill.reconsider(
        outcome, 'retry', event, reason, since, until, key, most, dry_run, after_at, after_id
    )
$$;

-- waybill.resolve decides about uncertain bundles: Amplitude may have them, and has
-- forgotten the insert_id that would tell.
--   assume_delivered  they count as delivered
--   resend            they go back to the queue, and may be counted twice
-- Pages, filter and answer are waybill.retry's.
CREATE OR REPLACE FUNCTION waybill.resolve(
    how text,
    event text DEFAULT NULL,
    reason text DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT now(),
    key text DEFAULT NULL,
    most int DEFAULT 10000,
    dry_run boolean DEFAULT true,
    after_at timestamptz DEFAULT '-infinity',
    after_id bigint DEFAULT 0
)
RETURNS TABLE (
    examined int, matched int, moved int, no_payload int, waiting int,
    last_at timestamptz, last_id bigint, done boolean
)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, waybill, pg_temp
AS $$
    SELECT * FROM waybill.reconsider(
        'uncertain', how, event, reason, since, until, key, most, dry_run, after_at, after_id
    )
$$;

-- Rights. This step runs again after an upgrade of River has dropped the view, and the
-- rights on it with it, so it gives them itself wherever the roles exist.
CREATE OR REPLACE FUNCTION waybill.grant_operator() RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    GRANT SELECT ON waybill.job, waybill.worker, waybill.delivery_log, waybill.river_queue, waybill.migration
    TO waybill_operator;
    GRANT EXECUTE ON FUNCTION
        waybill.job_by_key(text), waybill.depth(int), waybill.throughput(interval, int), waybill.dead_letters(int),
        waybill.in_doubt(int), waybill.parked(int),
        waybill.retry(text, text, text, timestamptz, timestamptz, text, int, boolean, timestamptz, bigint),
        waybill.resolve(text, text, text, timestamptz, timestamptz, text, int, boolean, timestamptz, bigint)
    TO waybill_operator;
END
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA waybill FROM PUBLIC;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'waybill_operator') THEN
        PERFORM waybill.grant_operator();
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'waybill_worker') THEN
        GRANT SELECT ON waybill.job TO waybill_worker;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA waybill TO waybill_worker;
    END IF;
END
$$;
