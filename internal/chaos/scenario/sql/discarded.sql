SELECT count(*) FROM waybill.river_job WHERE kind = 'bundle' AND state = 'discarded';
