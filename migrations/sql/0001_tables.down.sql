DROP TABLE IF EXISTS
    waybill.walk,
    waybill.worker,
    waybill.profile,
    waybill.request,
    waybill.delivery_log,
    waybill.delivery,
    waybill.bundle,
    waybill.install;
