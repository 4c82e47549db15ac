-- For the transaction alone. The planner takes the wanted rows for spread evenly over a
-- table where they stand at its ends.
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true);
