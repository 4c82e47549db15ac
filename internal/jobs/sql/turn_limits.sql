-- A worker that stops in the middle of its turn, or whose machine does, must not hold the
-- others up: its locks go after a few seconds, and whoever waits for them lets the other
-- flights of its worker go first. And its statements look up what they ask for: see
-- indexed.sql.
SELECT set_config('lock_timeout', $1, true), set_config('idle_in_transaction_session_timeout', '8s', true),
    set_config('enable_seqscan', 'off', true);
