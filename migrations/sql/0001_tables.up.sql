-- What Waybill remembers. River's own tables stand in the same schema and come
-- before this step; nothing here has a foreign key to them, because River
-- deletes finished jobs and a bundle's fate must outlive its job.

-- One random word per database. It opens every insert_id, so that two databases
-- that use the same action keys can share one Amplitude project.
CREATE TABLE waybill.install (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id text NOT NULL CHECK (id ~ '^[a-z0-9]{4,32}$')
);

INSERT INTO waybill.install (id)
VALUES (substr(replace(gen_random_uuid()::text, '-', ''), 1, 10));

-- The ledger: one row per action key, for ever. Retention nulls the payload of
-- what was delivered; the key's hash stays, because it is what keeps an action
-- from being counted twice a year later.
-- Columns of a fixed width stand first, here and in delivery: behind others they are filled
-- up to a multiple of eight bytes, in each row and in the log.
CREATE TABLE waybill.bundle (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The River job that delivers it; null when it was refused at the door.
    job_id bigint,
    -- The caller's time of the action, never later than enqueued_at.
    occurred_at timestamptz NOT NULL,
    enqueued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    key_hash bytea NOT NULL,
    action_key text NOT NULL,
    event text,
    user_id text,
    payload jsonb,
    CONSTRAINT bundle_key_hash UNIQUE (key_hash)
);

-- The current outcome of a bundle that has one. `delivered` is final; `in_doubt`
-- is not an end: an attempt may have been accepted and the bundle is still due.
CREATE TABLE waybill.delivery (
    bundle_id bigint PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    request_id bigint,
    -- When the first attempt began that may have been accepted without our
    -- knowing. No later refusal clears it; only an outcome does.
    doubt_since timestamptz,
    attempt int NOT NULL DEFAULT 0,
    outcome text NOT NULL CHECK (outcome IN ('in_doubt', 'delivered', 'rejected', 'skipped', 'uncertain')),
    reason text
);

-- What operators ask for (dead letters, what is in doubt) without reading the
-- rows of everything that went well.
CREATE INDEX delivery_attention ON waybill.delivery (outcome, at)
WHERE outcome <> 'delivered';

-- Which in_doubt bundles still stand behind a reservation.
CREATE INDEX delivery_in_doubt ON waybill.delivery (request_id)
WHERE outcome = 'in_doubt';

-- What a person replaced, and who did it.
CREATE TABLE waybill.delivery_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bundle_id bigint NOT NULL,
    outcome text NOT NULL,
    reason text,
    at timestamptz NOT NULL,
    attempt int NOT NULL,
    request_id bigint,
    doubt_since timestamptz,
    replaced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    replaced_by text NOT NULL DEFAULT session_user,
    replaced_how text NOT NULL
);

CREATE INDEX delivery_log_bundle ON waybill.delivery_log (bundle_id);

-- Requests that were written down and have no recorded answer yet. While a row
-- stands here its bundles may have been accepted.
CREATE TABLE waybill.request (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    worker text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    bundle_ids bigint[] NOT NULL
) WITH (fillfactor = 70);

-- What Amplitude was last told about one user, device or group. kind is `user`,
-- `device` or `group:<type>`.
--   traits    {name: {"value": …, "at": µs since 1970, "bundle_id": …}}, the
--             newest committed version of each; "unset" and "once" mark the
--             two special ways a trait came to be.
--   counters  {name: number}, the sum of the increments recorded as delivered.
--   unsure    names whose value at Amplitude is unknown (an answer was lost);
--             they are never left out of a request.
--   request_id  the request that may be changing these traits right now; other
--             bundles that touch them wait for its answer.
--   sent_at   when this identity's traits last went out without elision.
CREATE TABLE waybill.profile (
    dest text NOT NULL,
    kind text NOT NULL,
    id text NOT NULL,
    traits jsonb NOT NULL DEFAULT '{}',
    counters jsonb NOT NULL DEFAULT '{}',
    unsure text[] NOT NULL DEFAULT '{}',
    request_id bigint,
    sent_at timestamptz,
    parked_until timestamptz,
    PRIMARY KEY (dest, kind, id)
) WITH (fillfactor = 50);

CREATE INDEX profile_parked ON waybill.profile (dest, parked_until)
WHERE parked_until IS NOT NULL;

-- Heartbeats. A row that does not change for 8 s belongs to a dead worker.
CREATE TABLE waybill.worker (
    id text PRIMARY KEY,
    beat bigint NOT NULL DEFAULT 0,
    beat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What the worker says of itself (version, mode, lane), for status. No secrets.
    about jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 20);

-- Where the slow walks over large tables stand, so that any worker can take the
-- next step and two never take the same one.
CREATE TABLE waybill.walk (
    name text PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    -- Everything at or below it needs no look until restart_at.
    settled bigint NOT NULL DEFAULT 0,
    restart_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Text position of walks over text keys.
    mark text NOT NULL DEFAULT '',
    next_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

INSERT INTO waybill.walk (name)
VALUES ('orphans'), ('payloads'), ('profiles'), ('jobs');
