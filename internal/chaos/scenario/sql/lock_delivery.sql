-- Nobody can record an outcome while this transaction lasts.
LOCK TABLE waybill.delivery IN SHARE MODE;
