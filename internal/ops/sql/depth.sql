SELECT state, jobs, bundles, oldest, capped FROM waybill.depth($1::int);
