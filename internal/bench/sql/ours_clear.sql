TRUNCATE waybill.bundle, waybill.delivery, waybill.request, waybill.profile, waybill.river_job, waybill.worker, shop_order;
