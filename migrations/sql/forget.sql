DELETE FROM waybill.migration WHERE version = $1;
