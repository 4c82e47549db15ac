SELECT EXISTS (SELECT FROM waybill.worker);
