-- For the transaction alone: a pooler would hand a session's setting to somebody else.
SELECT set_config('statement_timeout', $1::text, true);
