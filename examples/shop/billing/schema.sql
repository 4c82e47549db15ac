-- What accounts pay for. Money is whole cents.

CREATE TABLE IF NOT EXISTS subscriptions (
    account_id text PRIMARY KEY,
    tier text NOT NULL DEFAULT 'free' CHECK (tier IN ('free', 'friend', 'pro', 'enterprise')),
    times_churned int NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS checkouts (
    -- Of the payment provider, so that a retried checkout is one.
    id text PRIMARY KEY,
    account_id text NOT NULL,
    tier text NOT NULL
);

CREATE TABLE IF NOT EXISTS payments (
    id text PRIMARY KEY,
    account_id text NOT NULL,
    tier text NOT NULL,
    cents bigint NOT NULL CHECK (cents > 0),
    currency text NOT NULL
);
