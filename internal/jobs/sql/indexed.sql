-- For the rest of the transaction no plan reads a whole table that has an index. A prepared
-- statement keeps its plan, and one that was made while a table was empty would go on to read
-- all of it, for each row of another, until autovacuum has come by.
SELECT set_config('enable_seqscan', 'off', true);
