DROP VIEW IF EXISTS waybill.event_quality;
DROP FUNCTION IF EXISTS
    waybill.violations(interval, int),
    waybill.unsent(text[], int, boolean);
DROP TABLE IF EXISTS waybill.violation;
DELETE FROM waybill.walk WHERE name = 'violations';

-- As 0004 made it.
CREATE OR REPLACE FUNCTION waybill.grant_operator() RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    GRANT SELECT ON waybill.job, waybill.worker, waybill.delivery_log, waybill.river_queue, waybill.migration
    TO waybill_operator;
    GRANT EXECUTE ON FUNCTION
        waybill.job_by_key(text), waybill.depth(int), waybill.throughput(interval, int), waybill.dead_letters(int),
        waybill.in_doubt(int), waybill.parked(int),
        waybill.retry(text, text, text, timestamptz, timestamptz, text, int, boolean, timestamptz, bigint),
        waybill.resolve(text, text, text, timestamptz, timestamptz, text, int, boolean, timestamptz, bigint)
    TO waybill_operator;
END
$$;
