-- What claim_alone.sql runs under. It gives up soon when somebody holds a job, before a
-- deadlock would be looked for, and when many hold one after the other; and no plan of it
-- reads the whole table.
SELECT set_config('lock_timeout', '50ms', true), set_config('statement_timeout', '2s', true), set_config('enable_seqscan', 'off', true);
