SELECT count(*) FROM waybill.river_job WHERE state = 'running';
