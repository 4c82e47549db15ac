SELECT identities, until, capped FROM waybill.parked($1::int);
