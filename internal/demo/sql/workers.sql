SELECT id FROM waybill.worker;
