-- What claim_alone.sql runs under: it gives up soon when somebody holds a job, and no plan of
-- it reads the whole table.
SELECT set_config('lock_timeout', '300ms', true), set_config('enable_seqscan', 'off', true);
