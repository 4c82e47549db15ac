-- The tables of the CRM. What people write in them stays in them.

CREATE TABLE IF NOT EXISTS attendance (
    id text PRIMARY KEY,
    user_id text NOT NULL,
    presence text NOT NULL CHECK (presence IN ('present', 'away')),
    marked_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS templates (
    id text PRIMARY KEY,
    workspace_id text NOT NULL,
    wording text NOT NULL
);

CREATE TABLE IF NOT EXISTS template_uses (
    id text PRIMARY KEY,
    template_id text NOT NULL REFERENCES templates (id),
    used_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS allocation_rules (
    id text PRIMARY KEY,
    workspace_id text NOT NULL,
    rule text NOT NULL,
    -- The number of the change, so that each has a name of its own.
    revision int NOT NULL DEFAULT 1
);

CREATE TABLE IF NOT EXISTS field_changes (
    id text PRIMARY KEY,
    contact_id text NOT NULL,
    field_key text NOT NULL,
    new_content text NOT NULL
);

CREATE TABLE IF NOT EXISTS calls (
    id text PRIMARY KEY,
    phone text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    started_at timestamptz NOT NULL,
    ended_at timestamptz CHECK (ended_at >= started_at)
);

-- What each user did, by the hour. A thousand small actions are a thousand updates of
-- one row and one event in the end.
CREATE TABLE IF NOT EXISTS activity (
    account_id text NOT NULL,
    workspace_id text NOT NULL,
    user_id text NOT NULL,
    bucket timestamptz NOT NULL,
    calls int NOT NULL DEFAULT 0,
    notes int NOT NULL DEFAULT 0,
    tasks int NOT NULL DEFAULT 0,
    fields int NOT NULL DEFAULT 0,
    -- Set when its event was enqueued; it takes nothing more after that.
    summarized_at timestamptz,
    PRIMARY KEY (workspace_id, user_id, bucket)
);

CREATE INDEX IF NOT EXISTS activity_open ON activity (bucket) WHERE summarized_at IS NULL;
