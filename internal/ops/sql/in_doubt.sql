SELECT bundles, oldest, capped FROM waybill.in_doubt($1::int);
