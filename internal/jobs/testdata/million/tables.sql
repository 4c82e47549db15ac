-- Statistics are what the test says they are, and nothing needs to survive it.
ALTER TABLE waybill.bundle SET UNLOGGED, SET (autovacuum_enabled = false);
ALTER TABLE waybill.delivery SET UNLOGGED, SET (autovacuum_enabled = false);
ALTER TABLE waybill.river_job SET UNLOGGED, SET (autovacuum_enabled = false);
ALTER TABLE waybill.profile SET UNLOGGED, SET (autovacuum_enabled = false);

SELECT
    setval(pg_get_serial_sequence('waybill.river_job', 'id'), 1000000),
    setval(pg_get_serial_sequence('waybill.bundle', 'id'), 1000000),
    setval(pg_get_serial_sequence('waybill.request', 'id'), 1000000);
