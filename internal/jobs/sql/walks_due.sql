-- The maintenance steps that are due. Most of the time there are none.
SELECT name FROM waybill.walk WHERE next_at <= clock_timestamp();
