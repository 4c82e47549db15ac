SELECT bundles, oldest FROM waybill.unsent($1::text[], $2::int, $3::boolean);
