DROP TABLE IF EXISTS waybill.migration;
DROP SCHEMA IF EXISTS waybill;
