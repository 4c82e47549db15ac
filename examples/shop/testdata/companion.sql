-- The tables of a product with companions, as far as the recipes need them.
CREATE TABLE users (id text PRIMARY KEY, signed_up_at timestamptz NOT NULL);
CREATE TABLE sessions (id text PRIMARY KEY, user_id text NOT NULL);
CREATE TABLE messages (id text PRIMARY KEY, user_id text NOT NULL, wording text NOT NULL);
CREATE TABLE conversations (id text PRIMARY KEY, began_at timestamptz NOT NULL, ended_at timestamptz);
CREATE TABLE integrations (id text PRIMARY KEY, connected boolean NOT NULL);
CREATE TABLE failures (id text PRIMARY KEY, said text NOT NULL);
