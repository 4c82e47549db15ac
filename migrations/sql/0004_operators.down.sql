DROP VIEW IF EXISTS waybill.job;
DROP FUNCTION IF EXISTS
    waybill.job_by_key(text),
    waybill.depth(int),
    waybill.throughput(interval, int),
    waybill.dead_letters(int),
    waybill.in_doubt(int),
    waybill.parked(int),
    waybill.retry(text, text, text, timestamptz, timestamptz, text, int, boolean, timestamptz, bigint),
    waybill.resolve(text, text, text, timestamptz, timestamptz, text, int, boolean, timestamptz, bigint),
    waybill.reconsider(text, text, text, text, timestamptz, timestamptz, text, int, boolean, timestamptz, bigint),
    waybill.override(bigint[], text, text),
    waybill.grant_operator();
