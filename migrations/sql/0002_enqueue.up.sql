-- The one door: for Go, every other language, psql and triggers.
--
-- plpgsql on purpose: its statements keep their plans for the life of the
-- connection, where a SQL-language function is planned at every call.

-- waybill.usual_time reads a time as nearly everybody writes RFC 3339; null when it is
-- written in another way, or on the 29th of February. The days of the other months are
-- told apart, because a cast raises for the 31st of April. What it reads,
-- waybill.read_time reads the same.
CREATE OR REPLACE FUNCTION waybill.usual_time(given text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN given ~ '^[12][0-9]{3}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-5]):[0-5][0-9])$'
        THEN given::timestamptz
    END
$$;

-- waybill.ordinary is true for nearly every bundle: one with a user, an event and a time
-- that has passed, or none, and nothing to object to. It is one expression, which
-- the planner puts in the place of the call; waybill.inspect, which looks closer, is
-- called for the rest. What is ordinary, inspect never refuses.
CREATE OR REPLACE FUNCTION waybill.ordinary(b jsonb) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN jsonb_typeof(b) = 'object' THEN coalesce(
        jsonb_typeof(b -> 'key') = 'string' AND octet_length(b ->> 'key') BETWEEN 1 AND 256
        AND jsonb_typeof(b -> 'user_id') = 'string' AND b ->> 'user_id' <> ''
        AND jsonb_typeof(b -> 'track') = 'object'
        AND coalesce((b -> 'v')::text = '1', true)
        AND coalesce(jsonb_typeof(b -> 'device_id') IN ('string', 'null'), true)
        AND (b ->> 'occurred_at' IS NULL OR waybill.usual_time(b ->> 'occurred_at') <= now())
        AND b - '{v,key,user_id,device_id,occurred_at,identify,increment,groups,track,context,source,trace}'::text[] = '{}'
        AND octet_length(b::text) <= 262144
        AND NOT b @? '$.**{41}',
    false) ELSE false END
$$;

-- waybill.inspect checks what protects Postgres and a bundle's identity, and
-- nothing more: whether an event may be called so is for the worker's validator,
-- which is newer than this function as often as not.
--   action_key   what it is recorded under: invalid:<uuid> when its own is unusable
--   refusal      null when the bundle may go on
--   occurred_at  never null, never later than now
CREATE OR REPLACE FUNCTION waybill.inspect(
    b jsonb,
    OUT action_key text,
    OUT refusal text,
    OUT occurred_at timestamptz
)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    right_now timestamptz := clock_timestamp();
    given text;
BEGIN
    occurred_at := right_now;
    IF b IS NULL OR jsonb_typeof(b) <> 'object' THEN
        action_key := 'invalid:' || gen_random_uuid();
        refusal := 'bundle: is not a JSON object';
        RETURN;
    END IF;

    IF jsonb_typeof(b -> 'key') = 'string' AND octet_length(b ->> 'key') BETWEEN 1 AND 256 THEN
        action_key := b ->> 'key';
    ELSE
        action_key := 'invalid:' || gen_random_uuid();
        refusal := CASE
            WHEN NOT b ? 'key' THEN 'key: is missing; name the business action, e.g. order:8412:completed'
            WHEN jsonb_typeof(b -> 'key') <> 'string' THEN 'key: is not a string'
            ELSE 'key: must be 1 to 256 bytes long'
        END;
        RETURN;
    END IF;

    -- As text, not as stored: 1e300 takes a few bytes and writes 301.
    IF octet_length(b::text) > 262144 THEN
        refusal := 'bundle: is larger than 256 KB';
        RETURN;
    END IF;
    IF b @? '$.**{41}' THEN
        refusal := 'bundle: is nested deeper than 40 levels';
        RETURN;
    END IF;

    IF b ? 'v' AND NOT (jsonb_typeof(b -> 'v') = 'number' AND (b ->> 'v') ~ '^[1-9][0-9]{0,3}$') THEN
        refusal := 'v: is not a version number; write 1 or leave it out';
        RETURN;
    END IF;
    IF coalesce(b ->> 'v', '1') = '1'
        AND (b - '{v,key,user_id,device_id,occurred_at,identify,increment,groups,track,context,source,trace}'::text[]) <> '{}' THEN
        refusal := format('bundle: unknown field %s', (
            SELECT left(string_agg(quote_ident(f), ', '), 120)
            FROM jsonb_object_keys(b - '{v,key,user_id,device_id,occurred_at,identify,increment,groups,track,context,source,trace}'::text[]) AS f
        ));
        RETURN;
    END IF;

    IF coalesce(jsonb_typeof(b -> 'user_id'), 'null') NOT IN ('string', 'null') THEN
        refusal := 'user_id: is not a string';
        RETURN;
    END IF;
    IF coalesce(jsonb_typeof(b -> 'device_id'), 'null') NOT IN ('string', 'null') THEN
        refusal := 'device_id: is not a string';
        RETURN;
    END IF;
    IF coalesce(b ->> 'user_id', '') = '' AND coalesce(b ->> 'device_id', '') = '' THEN
        refusal := 'user_id: is missing, and so is device_id; say who did it';
        RETURN;
    END IF;

    IF coalesce(jsonb_typeof(b -> 'identify'), 'null') = 'null'
        AND coalesce(jsonb_typeof(b -> 'increment'), 'null') = 'null'
        AND coalesce(jsonb_typeof(b -> 'groups'), 'null') = 'null'
        AND coalesce(jsonb_typeof(b -> 'track'), 'null') = 'null' THEN
        refusal := 'bundle: says nothing; give identify, increment, groups or track';
        RETURN;
    END IF;

    IF coalesce(jsonb_typeof(b -> 'occurred_at'), 'null') <> 'null' THEN
        given := b ->> 'occurred_at';
        occurred_at := waybill.read_time(given);
        IF jsonb_typeof(b -> 'occurred_at') <> 'string' OR occurred_at IS NULL THEN
            refusal := 'occurred_at: is not a time as RFC 3339 writes it, e.g. 2026-11-22T10:15:00.123Z';
            occurred_at := right_now;
        ELSIF occurred_at > right_now + interval '1 day' THEN
            refusal := 'occurred_at: is more than a day ahead of the database clock';
            occurred_at := right_now;
        ELSE
            occurred_at := least(occurred_at, right_now);
        END IF;
    END IF;
END
$$;

-- waybill.read_time reads an RFC 3339 time; null when it is not one. A cast alone
-- would take "tomorrow" and would raise for the 30th of February; \d would take the digits
-- of other scripts where the database's locale is ICU's, and the cast raise for them.
CREATE OR REPLACE FUNCTION waybill.read_time(given text) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF given IS NULL
        OR given ~ '^0000'
        OR given !~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?([Zz]|[+-](0[0-9]|1[0-5]):[0-5][0-9])$' THEN
        RETURN NULL;
    END IF;
    IF substr(given, 9, 2) <= '28' AND substr(given, 18, 2) < '60' THEN
        RETURN given::timestamptz;
    END IF;
    -- Only the month's last days and a minute's 61st second can still be wrong
    -- (23:59:60.5 is); only they pay for a subtransaction.
    BEGIN
        RETURN given::timestamptz;
    EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format THEN
        RETURN NULL;
    END;
END
$$;

-- waybill.keepable is what the ledger keeps of a bundle that was refused: all of
-- it, unless it is too large to keep.
CREATE OR REPLACE FUNCTION waybill.keepable(b jsonb) RETURNS jsonb
LANGUAGE sql VOLATILE
AS $$
    SELECT CASE
        WHEN b IS NULL THEN 'null'::jsonb
        WHEN octet_length(b::text) <= 262144 THEN b
        ELSE jsonb_build_object('cut', true, 'bytes', octet_length(b::text), 'begins', left(b::text, 4096))
    END
$$;

-- waybill.enqueue takes one bundle or an array of them and answers one row per
-- element, in order:
--   queued     recorded, and a job will deliver it when this transaction commits
--   duplicate  its action key has a bundle already; bundle_id is that one's
--   rejected   recorded with a reason, never to be sent as it is
-- It never raises for what a jsonb value holds. Serialization failures, deadlocks,
-- cancellation and a full disk are raised, as they must be.
--
-- One ordinary bundle, which is what a business transaction pays for, takes two
-- statements and next to no expression beside them: each costs as much as what it does.
CREATE OR REPLACE FUNCTION waybill.enqueue(bundles jsonb)
RETURNS TABLE (n int, action_key text, bundle_id bigint, outcome text, reason text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    seen record;
    happened timestamptz;
    job bigint;
    job_args jsonb;
    -- Of several, one element for each, in their order.
    given_keys text[];
    given_hashes bytea[];
    given_refusals text[];
    given_times timestamptz[];
    -- Null for a bundle that was not recorded, because its key has one.
    new_ids bigint[];
    -- One element for every hundred of them.
    jobs bigint[];
    is_recorded boolean := false;
    is_first_write boolean;
BEGIN
    IF jsonb_typeof(bundles) = 'array' THEN
        IF jsonb_array_length(bundles) = 1 THEN
            bundles := bundles -> 0;
        ELSE
            -- Several: set by set. The payloads stay where they are, in the array of the
            -- call, which is read out of a compressed value here and not for each of them.
            is_first_write := pg_current_xact_id_if_assigned() IS NULL;
            bundles := bundles #> '{}';
            -- Ids follow the order of the call, whatever order the keys go in: of two
            -- bundles with one occurred_at the later id is the newer.
            SELECT array_agg(g.key), array_agg(sha256(convert_to(g.key, 'UTF8'))), array_agg(g.refusal),
                array_agg(g.occurred_at), array_agg(nextval('waybill.bundle_id_seq')),
                ARRAY(SELECT nextval('waybill.river_job_id_seq') FROM generate_series(0, (jsonb_array_length(bundles) - 1) / 100))
            INTO given_keys, given_hashes, given_refusals, given_times, new_ids, jobs
            FROM (
                SELECT i.refusal,
                    coalesce(i.action_key, e.b ->> 'key') AS key,
                    coalesce(i.occurred_at, (e.b ->> 'occurred_at')::timestamptz, clock_timestamp()) AS occurred_at
                FROM jsonb_array_elements(bundles) WITH ORDINALITY AS e (b, n)
                LEFT JOIN LATERAL (
                    SELECT c.* FROM waybill.inspect(e.b) AS c WHERE NOT waybill.ordinary(e.b)
                    OFFSET 0 -- or the planner calls inspect first and asks afterwards
                ) AS i ON true
                ORDER BY e.n
            ) AS g;

            -- Keys go in sorted, so that two calls that share some cannot deadlock each
            -- other on them.
            --
            -- An insert that expects no conflict looks into the index once instead of twice
            -- and writes one record less to the log, but can only fail as a whole, in
            -- a subtransaction. A transaction gets at most one of them from us, if this call is
            -- the first that it writes: past 64 they slow down everybody's snapshots.
            IF is_first_write THEN
                BEGIN
                    INSERT INTO waybill.bundle (id, key_hash, action_key, event, user_id, payload, occurred_at, job_id)
                    OVERRIDING SYSTEM VALUE
                    SELECT g.id, g.key_hash, g.key, left(p.b -> 'track' ->> 'event', 200), left(p.b ->> 'user_id', 256),
                        CASE WHEN g.refusal IS NULL THEN p.b ELSE waybill.keepable(p.b) END,
                        g.occurred_at, CASE WHEN g.refusal IS NULL THEN jobs[(g.n - 1) / 100 + 1] END
                    FROM (
                        SELECT *
                        FROM unnest(new_ids, given_hashes, given_keys, given_refusals, given_times)
                            WITH ORDINALITY AS g (id, key_hash, key, refusal, occurred_at, n)
                        ORDER BY g.key_hash
                    ) AS g,
                    LATERAL (SELECT bundles -> (g.n - 1)::int AS b OFFSET 0) AS p;
                    is_recorded := true;
                EXCEPTION WHEN unique_violation THEN
                    NULL; -- a key has a bundle already: once more, and around it
                END;
            END IF;
            IF NOT is_recorded THEN
                WITH recorded AS (
                    INSERT INTO waybill.bundle (id, key_hash, action_key, event, user_id, payload, occurred_at, job_id)
                    OVERRIDING SYSTEM VALUE
                    SELECT g.id, g.key_hash, g.key, left(p.b -> 'track' ->> 'event', 200), left(p.b ->> 'user_id', 256),
                        CASE WHEN g.refusal IS NULL THEN p.b ELSE waybill.keepable(p.b) END,
                        g.occurred_at, CASE WHEN g.refusal IS NULL THEN jobs[(g.n - 1) / 100 + 1] END
                    FROM (
                        SELECT *
                        FROM unnest(new_ids, given_hashes, given_keys, given_refusals, given_times)
                            WITH ORDINALITY AS g (id, key_hash, key, refusal, occurred_at, n)
                        ORDER BY g.key_hash, g.n
                    ) AS g,
                    LATERAL (SELECT bundles -> (g.n - 1)::int AS b OFFSET 0) AS p
                    ON CONFLICT (key_hash) DO NOTHING
                    RETURNING id
                )
                SELECT array_agg(r.id ORDER BY g.n) INTO new_ids
                FROM unnest(new_ids) WITH ORDINALITY AS g (id, n)
                LEFT JOIN recorded AS r ON r.id = g.id;
            END IF;

            INSERT INTO waybill.river_job (id, kind, queue, priority, max_attempts, args)
            SELECT jobs[r.pack], 'bundle', 'analytics', 3, 32767,
                jsonb_build_object('bundle_ids', jsonb_agg(r.id ORDER BY r.id))
            FROM (
                SELECT (g.n - 1) / 100 + 1 AS pack, g.id
                FROM unnest(new_ids, given_refusals) WITH ORDINALITY AS g (id, refusal, n)
                WHERE g.id IS NOT NULL AND g.refusal IS NULL
            ) AS r
            GROUP BY r.pack;

            INSERT INTO waybill.delivery (bundle_id, outcome, reason)
            SELECT r.id, 'rejected', r.refusal
            FROM unnest(new_ids, given_refusals) AS r (id, refusal)
            WHERE r.id IS NOT NULL AND r.refusal IS NOT NULL;

            -- A statement of its own, because an action key that another transaction has
            -- just committed is not in the snapshot of the one that found it taken.
            RETURN QUERY
            SELECT g.n::int, g.key,
                CASE
                    WHEN g.id IS NOT NULL THEN g.id
                    ELSE (SELECT b.id FROM waybill.bundle AS b WHERE b.key_hash = g.key_hash)
                END,
                CASE
                    WHEN g.id IS NULL THEN 'duplicate'
                    WHEN g.refusal IS NOT NULL THEN 'rejected'
                    ELSE 'queued'
                END,
                CASE WHEN g.id IS NOT NULL THEN g.refusal END
            FROM unnest(given_keys, given_hashes, given_refusals, new_ids)
                WITH ORDINALITY AS g (key, key_hash, refusal, id, n)
            ORDER BY g.n;
            RETURN;
        END IF;
    END IF;

    IF NOT waybill.ordinary(bundles) THEN
        seen := waybill.inspect(bundles);
        IF seen.refusal IS NOT NULL THEN
            n := 1;
            action_key := seen.action_key;
            INSERT INTO waybill.bundle (key_hash, action_key, event, user_id, payload, occurred_at)
            VALUES (
                sha256(convert_to(seen.action_key, 'UTF8')), seen.action_key,
                left(bundles -> 'track' ->> 'event', 200), left(bundles ->> 'user_id', 256),
                waybill.keepable(bundles), seen.occurred_at
            )
            ON CONFLICT (key_hash) DO NOTHING
            RETURNING id, 'rejected', seen.refusal INTO bundle_id, outcome, reason;
            IF bundle_id IS NULL THEN
                SELECT b.id, 'duplicate' INTO bundle_id, outcome
                FROM waybill.bundle AS b WHERE b.key_hash = sha256(convert_to(seen.action_key, 'UTF8'));
            ELSE
                INSERT INTO waybill.delivery (bundle_id, outcome, reason) VALUES (bundle_id, outcome, reason);
            END IF;
            RETURN NEXT;
            RETURN;
        END IF;
        happened := seen.occurred_at;
    END IF;

    INSERT INTO waybill.bundle (key_hash, action_key, event, user_id, payload, occurred_at, job_id)
    VALUES (
        sha256(convert_to(bundles ->> 'key', 'UTF8')), bundles ->> 'key',
        left(bundles -> 'track' ->> 'event', 200), left(bundles ->> 'user_id', 256),
        bundles, coalesce(happened, (bundles ->> 'occurred_at')::timestamptz, clock_timestamp()),
        nextval('waybill.river_job_id_seq')
    )
    ON CONFLICT (key_hash) DO NOTHING
    RETURNING 1, action_key, id, 'queued', job_id,
        jsonb_strip_nulls(jsonb_build_object(
            'bundle_ids', jsonb_build_array(id), 'action_key', action_key, 'event', event, 'user_id', user_id
        ))
    INTO n, action_key, bundle_id, outcome, job, job_args;
    IF bundle_id IS NULL THEN
        -- A statement of its own, because what another transaction has just committed
        -- is not in the snapshot of the first.
        SELECT 1, b.action_key, b.id, 'duplicate' INTO n, action_key, bundle_id, outcome
        FROM waybill.bundle AS b WHERE b.key_hash = sha256(convert_to(bundles ->> 'key', 'UTF8'));
    ELSE
        INSERT INTO waybill.river_job (id, kind, queue, priority, max_attempts, args)
        VALUES (job, 'bundle', 'analytics', 1, 32767, job_args);
    END IF;
    RETURN NEXT;
END
$$;

-- waybill.enqueue_text is waybill.enqueue for callers that cannot promise valid
-- JSON: a \u0000, a lone surrogate or NaN raises in the cast to jsonb, before any
-- function of ours could run. What cannot be read is recorded as rejected.
CREATE OR REPLACE FUNCTION waybill.enqueue_text(bundles text)
RETURNS TABLE (n int, action_key text, bundle_id bigint, outcome text, reason text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    readable jsonb;
BEGIN
    BEGIN
        readable := bundles::jsonb;
    EXCEPTION WHEN data_exception OR statement_too_complex OR program_limit_exceeded THEN
        n := 1;
        action_key := 'invalid:' || gen_random_uuid();
        outcome := 'rejected';
        reason := 'bundle: is not JSON that Postgres can store (SQLSTATE ' || sqlstate || ')';
        INSERT INTO waybill.bundle (key_hash, action_key, payload, occurred_at)
        VALUES (
            sha256(convert_to(action_key, 'UTF8')), action_key,
            jsonb_build_object('cut', octet_length(bundles) > 262144, 'bytes', octet_length(bundles), 'text', left(bundles, 262144)),
            clock_timestamp()
        )
        RETURNING id INTO bundle_id;
        INSERT INTO waybill.delivery (bundle_id, outcome, reason) VALUES (bundle_id, outcome, reason);
        RETURN NEXT;
        RETURN;
    END;
    RETURN QUERY SELECT e.* FROM waybill.enqueue(readable) AS e;
END
$$;

-- waybill.try_enqueue is the best effort: whatever happens, the caller's
-- transaction goes on as if it had not been called. What failed is `skipped`, with
-- the SQLSTATE as its reason. It waits at most half a second for a lock.
CREATE OR REPLACE FUNCTION waybill.try_enqueue(bundles text)
RETURNS TABLE (n int, action_key text, bundle_id bigint, outcome text, reason text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '500ms'
AS $$
#variable_conflict use_column
DECLARE
    elements int := 1;
    failure text;
BEGIN
    BEGIN
        RETURN QUERY SELECT e.* FROM waybill.enqueue_text(bundles) AS e;
        RETURN;
    EXCEPTION WHEN query_canceled OR assert_failure OR OTHERS THEN
        failure := sqlstate;
    END;
    BEGIN
        elements := jsonb_array_length(bundles::jsonb);
    EXCEPTION WHEN query_canceled OR assert_failure OR OTHERS THEN
        elements := 1;
    END;
    RAISE LOG 'waybill.try_enqueue skipped % bundle(s), SQLSTATE %', elements, failure;
    RETURN QUERY
    SELECT s, NULL::text, NULL::bigint, 'skipped', 'enqueue failed, SQLSTATE ' || failure
    FROM generate_series(1, elements) AS s;
END
$$;
