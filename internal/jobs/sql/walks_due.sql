-- The maintenance steps that are due. Most of the time there are none. The two that are
-- never put off for long are due too if the database's clock has stepped back.
SELECT name FROM waybill.walk
WHERE next_at <= clock_timestamp()
    OR name IN ('jobs', 'orphans') AND next_at > clock_timestamp() + interval '10 minutes';
