DROP VIEW IF EXISTS waybill.job;
