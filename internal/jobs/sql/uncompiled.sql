-- For the rest of the transaction no plan is compiled. Postgres does that by itself where it
-- takes thousands of rows for dear, and it takes ten times as long as what it is to speed up.
SELECT set_config('jit', 'off', true);
