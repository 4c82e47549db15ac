SELECT id FROM waybill.install;
