SELECT outcome, reason, bundles, last_hour, oldest, newest, capped FROM waybill.dead_letters($1::int);
