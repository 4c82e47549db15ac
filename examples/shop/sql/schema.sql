-- The shop's own tables. They know nothing of analytics.

CREATE TABLE IF NOT EXISTS accounts (
    id text PRIMARY KEY,
    name text NOT NULL,
    renamed int NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS customers (
    id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts (id),
    plan text NOT NULL DEFAULT 'free' CHECK (plan IN ('free', 'friend', 'pro', 'enterprise')),
    -- How often the plan was changed, so that each change has a name of its own.
    plan_changes int NOT NULL DEFAULT 0,
    signed_up_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS orders (
    -- Made by the client, so that a request that is sent twice is one order.
    id text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES customers (id),
    total_cents int NOT NULL CHECK (total_cents > 0),
    placed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS reviews (
    order_id text PRIMARY KEY REFERENCES orders (id),
    stars int NOT NULL CHECK (stars BETWEEN 1 AND 5)
);

-- What a page shows as recently viewed.
CREATE TABLE IF NOT EXISTS views (
    id text PRIMARY KEY,
    device_id text NOT NULL,
    product_id text NOT NULL,
    viewed_at timestamptz NOT NULL DEFAULT now()
);
